"""No cutting into pieces changes what is a call, loses anything, holds words back for long, or takes more time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.tool_arguments import Toolbox
from chains.tool_text import CallsInText, ToolCallRecogniser
from tests.chains.tool_text_support import ARGUMENTS, CALL, TOOLS, pieces_of, recognised


class TestNothingIsDelayedForLong:
    def held_after(self, *pieces: str) -> str:
        recogniser = ToolCallRecogniser(Toolbox(TOOLS))
        given = [each for piece in pieces for each in recogniser.feed(piece)]
        assert all(isinstance(each, str) for each in given)
        return "".join(pieces).removeprefix("".join(map(str, given)))

    @pytest.mark.parametrize(
        ("text", "held"),
        [
            ("plain words ", ""),
            ("words {", "{"),
            ("words { a", ""),
            ("a <", "<"),
            ("a <t", "<t"),
            ("a <ta", ""),
            ("a <function_", "<function_"),
            ("a <functions", ""),
            ("```JS", "```JS"),
            ("```Js", ""),
            ("[", "["),
            ("[x", ""),
            ("```", "```"),
            ("```p", ""),
            ("```python\nx = {", ""),
            ('{"na', '{"na'),
            ('{"nam_', ""),
            ('{"name": "rea', '{"name": "rea'),
            ('{"name": "del', ""),
            ('```json\n{"a', '```json\n{"a'),
            ('```json\n{"ab', ""),
            ('{"type": "ob', ""),
        ],
    )
    def test_only_what_may_still_be_a_call_is_held(self, text: str, held: str) -> None:
        assert self.held_after(text) == held
        assert self.held_after(*text) == held

    def test_no_more_than_the_limit_is_held(self) -> None:
        """A document that begins like a call would else be kept in memory to its end."""
        text = '{"arguments": {"path": "' + "x" * 400 + f'", "inner": {CALL}}}, "name": "read_file"}}\n{CALL}'
        for size in (1, 7, len(text)):
            *before, last = recognised(pieces_of(text, size), max_held_chars=200)
            assert before == [text.removesuffix(CALL)]
            assert isinstance(last, CallsInText)
        assert recognised([CALL], max_held_chars=len(CALL) - 1) == recognised([*CALL], max_held_chars=len(CALL) - 1)


FRAGMENTS = st.sampled_from(
    [
        *(
            CALL,
            CALL[:20],
            CALL[20:],
            ARGUMENTS,
            "read_file",
            '"name"',
            '"arguments":',
            "{",
            "}",
            "[",
            "]",
            '"',
            ":",
            ",",
            ",}}",
        ),
        *("<function_call>", "</function_call>", "<tool>", "</tool>", "<TOOLCALL>", "JSON"),
        *("```", "`", "json", "python", "\n", " ", "<tool_call>", "</tool_call>", "<tools>", "<function=read_file>"),
        *(
            "<parameter=path>",
            "</parameter>",
            "</function>",
            "[TOOL_CALLS]",
            "[ARGS]",
            "<|python_tag|>",
            "\\",
            "<",
            "x",
        ),
        *('{"a": ', "true", "1", "é😀", "\u2028"),
    ]
)
TEXTS = st.lists(FRAGMENTS | st.text(max_size=5), max_size=12).map("".join)


@given(TEXTS, st.lists(st.integers(1, 30), min_size=1), st.integers(1, 200))
def test_any_cutting_gives_the_same_and_loses_nothing(text: str, sizes: list[int], limit: int) -> None:
    whole = recognised([text], max_held_chars=limit)
    assert "".join(each if isinstance(each, str) else each.raw for each in whole) == text
    cut: list[str] = []
    rest = text
    while rest:
        size = sizes[len(cut) % len(sizes)]
        cut.append(rest[:size])
        rest = rest[size:]
    assert recognised(cut, max_held_chars=limit) == whole


@pytest.mark.parametrize(
    "part", ["{ ", '{"a":', '{"arguments":', "<function=now><parameter=a>", "[ ", "```\n{", "<tool_call>", CALL + "\n"]
)
def test_time_grows_with_the_length_only(part: str) -> None:
    """Each of these was looked at again for each that stood before it: a minute for a megabyte."""

    def taken_s(chars: int) -> float:
        pieces = pieces_of(part * (chars // len(part)), 1000)
        started = time.thread_time()
        recognised(pieces, max_held_chars=1_000_000)
        return time.thread_time() - started

    short, long = min(taken_s(10_000) for _ in range(3)), taken_s(80_000)
    assert long < 8 * short * 4

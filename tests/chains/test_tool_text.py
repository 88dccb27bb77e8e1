"""The forms of docs/tools.md become calls, everything else stays text, and no cutting into pieces changes either."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.tool_arguments import FittingCall, Toolbox
from chains.tool_text import CallsInText, Found, ToolCallRecogniser


def tool(name: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "additionalProperties": False, **more}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


TOOLS = (
    tool("read_file", {"path": {"type": "string"}, "lines": {"type": "integer"}}, required=["path"]),
    tool("read", {"name": {"type": "string"}}),
    {"type": "function", "function": {"name": "now"}},
)
ARGUMENTS = '{"path":"a"}'
CALL = f'{{"name": "read_file", "arguments": {ARGUMENTS}}}'
READ = FittingCall("read_file", ARGUMENTS)
NOW = FittingCall("now", "{}")


def pieces_of(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def merged(found: Iterable[Found]) -> list[Found]:
    joined: list[Found] = []
    for each in found:
        if isinstance(each, str) and joined and isinstance(joined[-1], str):
            joined[-1] += each
        else:
            joined.append(each)
    return joined


def recognised(pieces: Sequence[str], *, max_held_chars: int = 100_000) -> list[Found]:
    recogniser = ToolCallRecogniser(Toolbox(TOOLS), max_held_chars=max_held_chars)
    found = [each for piece in pieces for each in recogniser.feed(piece)]
    return merged([*found, *recogniser.finish()])


def outcome(text: str) -> list[str | FittingCall]:
    """Texts and calls of the whole; checked to be the same in pieces of one to three characters, and complete."""
    found = recognised([text])
    for size in (1, 2, 3):
        assert recognised(pieces_of(text, size)) == found
    assert "".join(each if isinstance(each, str) else each.raw for each in found) == text
    return [one for each in found for one in ([each] if isinstance(each, str) else each.calls)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CALL, [READ]),
        (f"\n {CALL}\n\n", [READ]),
        (json.dumps(json.loads(CALL), indent=2), [READ]),
        ('{"arguments": {"path": "a"}, "name": "read_file"}', [READ]),
        ('{"name": "read_file", "parameters": {"path": "a"}}', [READ]),
        ('{"id": "c1", "type": "function", "name": "read_file", "arguments": {"path": "a"}}', [READ]),
        ('{"type": "function", "function": {"name": "read_file", "arguments": {"path": "a"}}}', [READ]),
        ('{"function": "read_file", "arguments": {"path": "a"}}', [READ]),
        (f"{CALL}\n{CALL}", [READ, READ]),
        (f"{CALL}{CALL}; {CALL},\n{CALL}", [READ] * 4),
        (f"[{CALL}, {CALL}]", [READ, READ]),
        (f"```json\n{CALL}\n```", [READ]),
        (f"```JSON\n{CALL}\n```", [READ]),
        (f"```XML\n<tools>{CALL}</tools>\n```", [READ]),
        (f"```tool_call\n{CALL}\n```\n", [READ]),
        (f"```\n{CALL}\n{CALL}\n```", [READ, READ]),
        (f"````json\n[{CALL}]\n````", [READ]),
        (f"```json\n{CALL}", [READ]),
        (f"<tool_call>\n{CALL}\n</tool_call>", [READ]),
        (f"<tool_call>{CALL}</tool_call>\n<tool_call>{CALL}</tool_call>", [READ, READ]),
        (f"<tool_call>\n{CALL}", [READ]),
        (f"{CALL}\n</tool_call>", [READ]),
        (f"<tools>\n{CALL}\n</tools>", [READ]),
        (f"<tool>{CALL}</tool>\n<tool>{CALL}</tool>", [READ, READ]),
        (f"<function_call>{CALL}</function_call>", [READ]),
        (f"<function_call>\n{CALL}", [READ]),
        (f"<toolcall> {CALL} </toolcall>", [READ]),
        (f"<TOOLCALL>[{CALL}, {CALL}]</TOOLCALL>", [READ, READ]),
        (f"```xml\n<tool_call>\n{CALL}\n</tool_call>\n```", [READ]),
        (f"<|python_tag|>{CALL}; {CALL}<|eom_id|>", [READ, READ]),
        (f"[TOOL_CALLS][{CALL}, {CALL}]", [READ, READ]),
        (f"[TOOL_CALLS] {CALL}", [READ]),
        (f"[TOOL_CALLS]read_file{ARGUMENTS}", [READ]),
        (f"[TOOL_CALLS]read_file[ARGS]{ARGUMENTS}[TOOL_CALLS]now[ARGS]{{}}", [READ, NOW]),
        (f"<function=read_file>{ARGUMENTS}</function>", [READ]),
        ("<function=now>\n</function>", [NOW]),
        ("<function=read_file>\n<parameter=path>\na\n</parameter>\n</function>", [READ]),
        (
            "<tool_call>\n<function=read_file>\n<parameter=path>a\n b</parameter>\n</function>\n</tool_call>",
            [FittingCall("read_file", '{"path":"a\\n b"}')],
        ),
        (
            "<function=read_file><parameter=path><b></param></parameter></function>",
            [FittingCall("read_file", '{"path":"<b></param>"}')],
        ),
        (f"I read it first.\n\n{CALL}", ["I read it first.\n\n", READ]),
        (f"I read it: {CALL}", ["I read it: ", READ]),
        (f"Sure: ```json\n{CALL}\n```", ["Sure: ", READ]),
        (f"{CALL}\n\nThis reads the file.", [READ, "\n\nThis reads the file."]),
        (f"one <tool_call>{CALL}</tool_call> two {CALL} three", ["one ", READ, " two ", READ, " three"]),
    ],
)
def test_what_is_a_call(text: str, expected: list[str | FittingCall]) -> None:
    assert outcome(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "{",
        "[",
        "<",
        "``",
        "```",
        CALL[:-1],
        f"<tool_call>{CALL[:-1]}",
        f"```json\n{CALL[:-1]}\n```",
        "<function=read_file>\n<parameter=path>\na\n</parameter>",
        "<function=read_file>\n<parameter=path>\na\n</function>",
        "f(x) { return [1, 2] } // a < b && c > d",
        "see [the docs](https://example.com) and `x < {y}`",
        '{"name": "delete_all", "arguments": {"path": "a"}}',
        '{"name": "read_file"}',
        '{"name": "read_file", "arguments": {"path": 5}}',
        '{"name": "read_file", "arguments": {"path": "a", "why": "so"}}',
        '{"name": "read_file", "arguments": ["a"]}',
        '{"name": "read_file", "description": "Reads.", "parameters": {"path": "a"}}',
        '{"name": "read_file", "arguments": {"path": "a",}}',
        "{'name': 'read_file', 'arguments': {'path': 'a'}}",
        f'{{"calls": {CALL}}}',
        f'{{"calls": [\n  {CALL}\n]}}',
        f'[{CALL}, {{"name": "delete_all", "arguments": {{}}}}]',
        f"`{CALL}`",
        f"Write ` {CALL} ` for it.",
        f"```python\n{CALL}\n```",
        f"```json5\n{CALL}\n```",
        f"```json\n// how to call it\n{CALL}\n```",
        f'```json\n{CALL}\n{{"name": "delete_all", "arguments": {{}}}}\n```',
        f"````md\n```json\n{CALL}\n```\n````",
        "<tool_call> is how a call begins, </tool_call> how it ends",
        f"<function_call>{CALL[:-1]}</function_call>",
        '<function_call>{"name": "delete_all", "arguments": {}}</function_call>',
        f"```Json\n{CALL}\n```",
        "</tool_call>",
        "[TOOL_CALLS] is Mistral's",
        "[TOOL_CALLS]delete_all[ARGS]{}",
        "<function=delete_all>{}</function>",
        "<read_file>\n<path>a</path>\n</read_file>",
    ],
)
def test_what_stays_text(text: str) -> None:
    assert outcome(text) == ([text] if text else [])


def test_a_call_after_what_only_looked_like_one() -> None:
    assert outcome(f'```json\n{{"a": 1}}\n```\n{CALL}') == ['```json\n{"a": 1}\n```\n', READ]
    assert outcome(f'{{"a": "\\"}}"}}\n{CALL}') == ['{"a": "\\"}"}\n', READ]
    assert outcome(f"{{ no JSON at all\n{CALL}") == ["{ no JSON at all\n", READ]
    assert outcome(f'{{"open\n{CALL}') == ['{"open\n', READ]
    assert outcome(f"an odd ` here\n{CALL}") == ["an odd ` here\n", READ]


def test_names_that_begin_alike() -> None:
    assert outcome('{"name": "read", "arguments": {"name": "x"}}') == [FittingCall("read", '{"name":"x"}')]


def test_a_files_text_arrives_as_it_was_written() -> None:
    content = 'say("hi")\n```\n<tool_call>{"name": "now", "arguments": {}}</tool_call>\n```\n\\ \u2028 ü 😀'
    call = json.dumps({"name": "read_file", "arguments": {"path": content}})
    (found,) = outcome(call)
    assert isinstance(found, FittingCall)
    assert json.loads(found.arguments) == {"path": content}


def test_raw_line_breaks_in_a_string_are_taken_as_they_stand() -> None:
    (found,) = outcome('{"name": "read_file", "arguments": {"path": "one\ntwo\tthree"}}')
    assert isinstance(found, FittingCall)
    assert json.loads(found.arguments) == {"path": "one\ntwo\tthree"}


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

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.embedded.tool_calls import Event, ToolCall, ToolCallRecogniser

READ = '<tool_call>\n{"name": "read_file", "arguments": {"path": "a.md"}}\n</tool_call>'
READ_CALL = ToolCall("read_file", {"path": "a.md"})
TOOLS = ("read_file", "écrire")


def recognise(pieces: Sequence[str]) -> list[Event]:
    """Events with neighbouring texts joined: how the text is cut is not part of the result."""
    recogniser = ToolCallRecogniser(TOOLS)
    events = [event for piece in pieces for event in recogniser.feed(piece)]
    joined: list[Event] = []
    for event in [*events, *recogniser.finish()]:
        if isinstance(event, str) and joined and isinstance(joined[-1], str):
            joined[-1] += event
        else:
            joined.append(event)
    return joined


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("", []),
        ("plain <b>text</b>", ["plain <b>text</b>"]),
        (READ, [READ_CALL]),
        (f"I will look.\n{READ}", ["I will look.\n", READ_CALL]),
        (f"{READ}\n{READ}\n", [READ_CALL, READ_CALL]),
        (f"{READ}\n then", [READ_CALL, "then"]),
        (READ.removesuffix("</tool_call>"), [READ_CALL]),
        ('<tool_call>{"name": "x", "parameters": {}}</tool_call>', [ToolCall("x", {})]),
        (
            '<tool_call>{"name": "x", "arguments": {"t": "</tool_call> \\" }"}}</tool_call>',
            [ToolCall("x", {"t": '</tool_call> " }'})],
        ),
        ('{"name": "read_file", "arguments": {"path": "a.md"}}', [READ_CALL]),
        (' {"name":"écrire","arguments":{}}\n', [ToolCall("écrire", {})]),
        ('{"name": "other", "arguments": {}}', ['{"name": "other", "arguments": {}}']),
        ('{"name": "read_file", "arguments": {}} ok', ['{"name": "read_file", "arguments": {}} ok']),
        ('<tool_call>{"name": "x"', ['<tool_call>{"name": "x"']),
        ('<tool_call>{"name": "x"}</tool_call>', ['<tool_call>{"name": "x"}</tool_call>']),
        ("<tool_call>{]}</tool_call>", ["<tool_call>{]}</tool_call>"]),
        (
            '<tool_call>{"name": "", "arguments": {}}</tool_call>',
            ['<tool_call>{"name": "", "arguments": {}}</tool_call>'],
        ),
        ("<tool_call>read it</tool_call>", ["<tool_call>read it</tool_call>"]),
        (f"<tool_call>{{ {READ}", ["<tool_call>{ ", READ_CALL]),
        ("<tool_call", ["<tool_call"]),
    ],
)
def test_what_counts_as_a_call(text: str, events: list[Event]) -> None:
    assert recognise([text]) == events
    assert recognise(list(text)) == events


def test_text_is_not_held_back_longer_than_it_may_become_a_call() -> None:
    recogniser = ToolCallRecogniser(TOOLS)
    assert list(recogniser.feed("a < b <tool")) == ["a < b "]
    assert list(recogniser.feed("box")) == ["<toolbox"]


FRAGMENTS = st.sampled_from(
    ["<tool_call>", "</tool_call>", "<", "tool", "{", "}", '"', "\\", " ", "\n", "é", READ, '{"name": "read_file"', "x",
     '"arguments"', ":", ",", '{"name": "read_file", "arguments": {"a": 1}}']
)  # fmt: skip


@given(st.lists(FRAGMENTS, max_size=12).map("".join), st.data())
def test_chunking_changes_nothing(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert recognise(pieces) == recognise([text])


@given(st.lists(FRAGMENTS, max_size=12).map("".join))
def test_without_a_call_the_text_is_untouched(text: str) -> None:
    events = recognise(list(text))
    if not any(isinstance(event, ToolCall) for event in events):
        assert "".join(event for event in events if isinstance(event, str)) == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.text(min_size=1), st.dictionaries(st.text(), JSON, max_size=3), st.booleans())
def test_every_call_comes_back(name: str, arguments: dict[str, object], ascii_only: bool) -> None:
    body = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=ascii_only)
    assert recognise(list(f"<tool_call>{body}</tool_call>")) == [ToolCall(name, arguments)]

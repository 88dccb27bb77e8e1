"""Tools on offer, a call of one, and what the recogniser makes of an answer's text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from chains.tool_arguments import FittingCall, Toolbox
from chains.tool_text import Found, ToolCallRecogniser


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

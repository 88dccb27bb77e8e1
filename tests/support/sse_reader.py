"""A small reader of server-sent events, written from the standard and not from our writer.

Source: WHATWG HTML, section 9.2.6. It reads bytes in any pieces; comments are kept, as heartbeats are comments.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Block:
    """Either a comment's text or the data of one event."""

    data: str | None = None
    comment: str | None = None

    @property
    def json(self) -> dict[str, Any]:
        assert self.data is not None
        value = json.loads(self.data)
        assert isinstance(value, dict)
        return value


class SseReader:
    """Feed it bytes; it gives back the blocks that have become whole."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[Block]:
        self._rest += piece
        # Only LF is looked for: our service writes no CR, and must not.
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            yield from self._line(line.decode("utf-8"))

    def assert_at_end(self) -> None:
        assert (self._rest, self._data) == (b"", []), "the stream ended within an event"

    def _line(self, line: str) -> Iterator[Block]:
        if not line:
            if self._data:
                yield Block(data="\n".join(self._data))
            self._data = []
        elif line.startswith(":"):
            yield Block(comment=line[1:].strip())
        else:
            name, _, value = line.partition(":")
            assert name == "data", f"only data and comments are sent, not {line!r}"
            self._data.append(value.removeprefix(" "))


def read_sse(pieces: Iterable[bytes]) -> list[Block]:
    """All blocks of a whole stream."""
    reader = SseReader()
    blocks = [block for piece in pieces for block in reader.feed(piece)]
    reader.assert_at_end()
    return blocks


async def stream_sse(pieces: AsyncIterator[bytes]) -> AsyncIterator[Block]:
    """The blocks of a stream as they come."""
    reader = SseReader()
    async for piece in pieces:
        for block in reader.feed(piece):
            yield block
    reader.assert_at_end()


@dataclass(frozen=True)
class Answer:
    """A streamed answer put together again, after checking that it is well-formed."""

    text: str
    reasoning: str
    calls: tuple[dict[str, Any], ...]
    finish_reason: str
    usage: dict[str, Any] | None
    error: dict[str, Any] | None
    pings: int


def read_answer(stream: bytes) -> Answer:
    """Check and join a whole stream: an opening role, one finish_reason, usage at most once, `[DONE]` at the end."""
    blocks = read_sse([stream])
    assert blocks[-1].data == "[DONE]"
    chunks = [block.json for block in blocks if block.data not in {None, "[DONE]"}]
    assert sum(block.data == "[DONE]" for block in blocks) == 1
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert choices[0]["delta"] == {"role": "assistant", "content": ""}
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    reasons = [choice["finish_reason"] for choice in choices if choice["finish_reason"] is not None]
    assert len(reasons) == 1
    assert choices[-1]["finish_reason"] == reasons[0]
    deltas = [choice["delta"] for choice in choices]
    usages = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    errors = [chunk["error"] for chunk in chunks if "error" in chunk]
    assert len(usages) <= 1
    assert len(errors) <= 1
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert [call["index"] for call in calls] == list(range(len(calls)))
    for call in calls:
        assert call["id"]
        assert isinstance(json.loads(call["function"]["arguments"]), dict)
    return Answer(
        text="".join(delta.get("content") or "" for delta in deltas),
        reasoning="".join(delta.get("reasoning_content") or "" for delta in deltas),
        calls=tuple(calls),
        finish_reason=reasons[0],
        usage=usages[0] if usages else None,
        error=errors[0] if errors else None,
        pings=sum(block.comment == "ping" for block in blocks),
    )

"""Writes an answer as Anthropic's message, whole or as its events. Source: Anthropic's API reference, streaming."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from chains.events import Finished, RouterEvent, Usage
from config.errors import RouterError
from wire.chunks import Stamp
from wire.errors import anthropic_error_object, error_object, error_row
from wire.segments import Kind, Segment, segment_of, segments
from wire.sse import encode_event
from wire.writer import Explanation

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_EMPTY: dict[Kind, dict[str, Any]] = {
    "text": {"type": "text", "text": ""},
    "reasoning": {"type": "thinking", "thinking": "", "signature": ""},
}

Json = dict[str, Any]


class MessagesWriter:
    """Writes one message; the model's thinking is written where the client asked for it."""

    heartbeat = encode_event({"type": "ping"})

    def __init__(self, stamp: Stamp, *, with_thinking: bool) -> None:
        self._stamp = stamp
        self._with_thinking = with_thinking
        self._open: Kind | None = None
        self._index = -1

    def opened(self, explanation: Explanation) -> bytes:
        """Counts are not known yet; those at the end are the model's own."""
        message = self._message([], None, None)
        return encode_event({"type": "message_start", "message": message | _router(explanation)})

    def event(self, event: RouterEvent) -> bytes:
        piece = segment_of(event)
        if piece is None or self._is_hidden(piece):
            return b""
        written = b""
        if self._open is None or piece.call or piece.kind != self._open:
            written = self._close_block() + self._open_block(piece)
        return written + encode_event({"type": "content_block_delta", "index": self._index, "delta": _delta(piece)})

    def ended(self, finished: Finished) -> bytes:
        delta = {"stop_reason": _STOP_REASONS[finished.reason], "stop_sequence": None}
        return self._close_block() + encode_event(
            {"type": "message_delta", "delta": delta, "usage": _usage(finished.usage)}
        )

    def closed(self) -> bytes:
        return encode_event({"type": "message_stop"})

    def broken(self, error: RouterError, *, spoke: bool) -> bytes:  # noqa: ARG002 - no client here minds
        told = anthropic_error_object(error_row(error).status, error_object(error))
        return encode_event({"type": "error", "error": told})

    def whole(self, events: Sequence[RouterEvent], explanation: Explanation) -> Json:
        finished = events[-1]
        assert isinstance(finished, Finished)  # noqa: S101 - how every whole answer ends
        blocks = [_block(piece) for piece in segments(events) if not self._is_hidden(piece)]
        return self._message(blocks, _STOP_REASONS[finished.reason], finished.usage) | _router(explanation)

    def _is_hidden(self, piece: Segment) -> bool:
        return piece.kind == "reasoning" and not self._with_thinking

    def _open_block(self, piece: Segment) -> bytes:
        self._index += 1
        self._open = piece.kind
        block = {**_block(piece), "input": {}} if piece.call else _EMPTY[piece.kind]
        return encode_event({"type": "content_block_start", "index": self._index, "content_block": block})

    def _close_block(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return encode_event({"type": "content_block_stop", "index": self._index})

    def _message(self, content: list[Json], stop_reason: str | None, usage: Usage | None) -> Json:
        return {
            "id": self._stamp.id,
            "type": "message",
            "role": "assistant",
            "model": self._stamp.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": _usage(usage),
        }


def _block(piece: Segment) -> Json:
    if piece.call:
        return {
            "type": "tool_use",
            "id": piece.call.id,
            "name": piece.call.name,
            "input": orjson.loads(piece.call.arguments),
        }
    if piece.kind == "reasoning":
        return {"type": "thinking", "thinking": piece.text, "signature": ""}
    return {"type": "text", "text": piece.text}


def _delta(piece: Segment) -> Json:
    if piece.call:
        return {"type": "input_json_delta", "partial_json": piece.call.arguments}
    if piece.kind == "reasoning":
        return {"type": "thinking_delta", "thinking": piece.text}
    return {"type": "text_delta", "text": piece.text}


def _usage(usage: Usage | None) -> Json:
    """Anthropic counts what was cached apart; both counts must be there, and are 0 where the model told none."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    counts = {"input_tokens": usage.prompt_tokens, "output_tokens": usage.answer_tokens}
    if usage.cached_tokens is None:
        return counts
    return counts | {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
    }


def _router(explanation: Explanation) -> Json:
    return {"router": explanation} if explanation else {}

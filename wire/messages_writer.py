"""Writes an answer as Anthropic's message, whole or as its events. Source: Anthropic's API reference, streaming."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.responses import Response

from chains.events import Finished, RouterEvent, Usage
from config.errors import ContextTooLong, RouterError
from wire.chunks import Stamp
from wire.errors import error_headers, error_row
from wire.segments import Kind, Segment, segment_of, segments
from wire.sse import encode_event
from wire.writer import Explanation

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
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
        return encode_event({"type": "error", "error": _error(error)})

    def whole(self, events: Sequence[RouterEvent], explanation: Explanation) -> Json:
        finished = events[-1]
        assert isinstance(finished, Finished)  # noqa: S101 - how every whole answer ends
        blocks = [_block(piece) for piece in segments(events) if not self._is_hidden(piece)]
        return self._message(blocks, _STOP_REASONS[finished.reason], finished.usage) | _router(explanation)

    def refused(self, error: RouterError, headers: dict[str, str]) -> Response:
        return messages_error(error, headers)

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


def messages_error(error: RouterError, headers: dict[str, str] | None = None) -> Response:
    """An error as Anthropic's clients read it."""
    body = orjson.dumps({"type": "error", "error": _error(error), "request_id": (headers or {}).get("x-request-id")})
    return Response(body, error_row(error).status, media_type="application/json", headers=error_headers(error, headers))


def _error(error: RouterError) -> Json:
    # Claude Code makes its conversation shorter where it reads these words.
    lead = "prompt is too long: " if isinstance(error, ContextTooLong) else ""
    return {"type": _ERROR_TYPES.get(error_row(error).status, "api_error"), "message": lead + error.message}


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

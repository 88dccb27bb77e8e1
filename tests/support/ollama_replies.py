"""What a scripted Ollama says to one `/api/chat`, and how it may go wrong while saying it.

A `Reply` is made by a class method (`text`, `tool_calls`, `error_line`, …) and bent by modifiers that return
a new one (`gate_after`, `cut_after`, `drip`, …): `Reply.text("a", "b").gate_after(1).cut_after(2)`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

JsonObject = dict[str, Any]
Call = tuple[str, Mapping[str, Any]]

CREATED_AT = "2026-01-01T00:00:00Z"
BEFORE_HEADERS = -1
_NS_PER_TOKEN = 10_000_000
_ESCAPED_BY_GO = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class Whole:
    """A whole HTTP answer with a `Content-Length`; `sent` bytes of it reach the client (None: all)."""

    status: int
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: int | None = None

    @classmethod
    def of(cls, value: object, status: int = 200) -> Self:
        return cls(status, encode(value))


@dataclass(frozen=True)
class Cut:
    """Where and how a stream ends too early; `terminated`: the chunked coding itself ends properly."""

    after: int
    half_line: bool = False
    terminated: bool = False
    reset: bool = False


@dataclass(frozen=True)
class Reply:
    """One scripted answer. `pieces` are message deltas or raw lines (bytes); gates count those before."""

    pieces: tuple[JsonObject | bytes, ...] = ()
    with_done: bool = True
    reason: str = "stop"
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    cached_tokens: int | None = None
    gates: frozenset[int] = frozenset()
    interval_s: float = 0.0
    cut: Cut | None = None
    chunk_bytes: int | None = None
    instead: Whole | None = None
    reset_at_once: bool = False

    # --- answers

    @classmethod
    def text(cls, *pieces: str, thinking: Iterable[str] = ()) -> Self:
        return cls(pieces=(*_thoughts(thinking), *_texts(pieces)))

    @classmethod
    def thinking(cls, *thoughts: str, then: Iterable[str] = ()) -> Self:
        """Thoughts, then text; without `then` a model that only thinks."""
        return cls(pieces=(*_thoughts(thoughts), *_texts(then)))

    @classmethod
    def tool_calls(
        cls, *calls: Call, text: Iterable[str] = (), thinking: Iterable[str] = (), together: bool = False
    ) -> Self:
        """Calls as `(name, arguments)`: one line each, as Ollama streams them, or all in one line."""
        wire = [{"function": {"name": name, "arguments": dict(arguments)}} for name, arguments in calls]
        groups = [wire] if together else [[one] for one in wire]
        lines = tuple({"content": "", "tool_calls": group} for group in groups)
        return cls(pieces=(*_thoughts(thinking), *_texts(text), *lines))

    @classmethod
    def json(cls, value: object) -> Self:
        """The answer to a request with a `format`: the value as JSON text, in two pieces."""
        text = json.dumps(value)
        return cls.text(text[: len(text) // 2], text[len(text) // 2 :])

    @classmethod
    def empty(cls) -> Self:
        return cls()

    @classmethod
    def big_line(cls, size: int = 10_000_000) -> Self:
        return cls.text("x" * size)

    # --- faults

    @classmethod
    def http(cls, status: int, message: str, *, headers: Mapping[str, str] | None = None) -> Self:
        """An error before the first byte, in Ollama's shape `{"error": message}`."""
        body = encode({"error": message})
        return cls(instead=Whole(status, body, headers=headers or {}))

    @classmethod
    def body(cls, body: bytes | str, *, status: int = 200, content_type: str = "text/plain") -> Self:
        """Any body under any status and content type, such as the page of a proxy."""
        raw = body.encode() if isinstance(body, str) else body
        return cls(instead=Whole(status, raw, content_type))

    @classmethod
    def html(cls, status: int = 200) -> Self:
        page = "<!doctype html>\n<html><body><h1>Gateway</h1></body></html>\n"
        return cls.body(page, status=status, content_type="text/html")

    @classmethod
    def busy(cls) -> Self:
        return cls.http(503, "server busy, please try again.  maximum pending requests exceeded")

    @classmethod
    def window_exceeded(cls, message: str = "the input length exceeds the context length") -> Self:
        return cls.http(400, message)

    @classmethod
    def not_found(cls, model: str) -> Self:
        return cls.http(404, f"model '{model}' not found")

    @classmethod
    def reset(cls) -> Self:
        """A TCP reset once the request has been read, before any byte of an answer."""
        return cls(reset_at_once=True)

    @classmethod
    def error_line(cls, message: str, *, after: Iterable[str] = ()) -> Self:
        """Status 200, the pieces, then `{"error": message}` as the last line."""
        return cls(pieces=(*_texts(after), encode({"error": message})), with_done=False)

    @classmethod
    def malformed_line(cls, *, after: Iterable[str] = (), line: bytes = b'{"model": "x", "message": {') -> Self:
        """The pieces, a line that is no JSON, then the stream goes on to its done line."""
        return cls(pieces=(*_texts(after), line))

    # --- modifiers

    def gate_after(self, pieces: int) -> Self:
        """Hold after so many pieces (0: headers are out, no token yet) until `ScriptedOllama.release()`."""
        return replace(self, gates=self.gates | {pieces})

    def gate_before_headers(self) -> Self:
        return self.gate_after(BEFORE_HEADERS)

    def drip(self, interval_s: float) -> Self:
        return replace(self, interval_s=interval_s)

    def cut_after(self, pieces: int, *, half_line: bool = False, terminated: bool = False, reset: bool = False) -> Self:
        """End after so many pieces without a done line, optionally with half of the next line; see `Cut`."""
        return replace(self, cut=Cut(pieces, half_line, terminated, reset))

    def in_chunks_of(self, size: int) -> Self:
        """Break the stream into HTTP chunks of so many bytes, wherever lines and characters end."""
        return replace(self, chunk_bytes=size)

    def done_reason(self, reason: str) -> Self:
        return replace(self, reason=reason)

    def counts(self, *, prompt: int, answer: int, cached: int | None = None) -> Self:
        return replace(self, prompt_tokens=prompt, answer_tokens=answer, cached_tokens=cached)

    # --- as bytes

    def lines(self, chat: JsonObject, *, load_ns: int) -> list[bytes]:
        """The NDJSON lines of a streamed answer, each with its newline, the done line included."""
        lines = [
            piece + b"\n" if isinstance(piece, bytes) else encode(_line(chat, piece)) + b"\n" for piece in self.pieces
        ]
        if self.with_done:
            final = {**_line(chat, {"content": ""}), **self._final(chat, load_ns)}
            lines.append(encode(final) + b"\n")
        return lines

    def whole(self, chat: JsonObject, *, load_ns: int) -> Whole:
        """The same answer for `stream: false`; an error or raw line becomes the whole body."""
        if raw := next((piece for piece in self.pieces if isinstance(piece, bytes)), None):
            return Whole(500 if b'"error"' in raw else 200, raw)
        deltas = [piece for piece in self.pieces if not isinstance(piece, bytes)]
        message: JsonObject = {"content": "".join(delta["content"] for delta in deltas)}
        if thoughts := "".join(delta.get("thinking", "") for delta in deltas):
            message["thinking"] = thoughts
        if calls := [call for delta in deltas for call in delta.get("tool_calls", ())]:
            message["tool_calls"] = calls
        body = encode({**_line(chat, message), **self._final(chat, load_ns)})
        return Whole(200, body, sent=len(body) // 2 if self.cut else None)

    def _final(self, chat: JsonObject, load_ns: int) -> JsonObject:
        prompt = self.prompt_tokens
        if prompt is None:
            read = [chat.get("messages", []), chat.get("tools", [])]
            prompt = max(1, len(encode(read)) // 4)
        answer = len(self.pieces) if self.answer_tokens is None else self.answer_tokens
        final: JsonObject = {
            "done": True,
            "done_reason": self.reason,
            "total_duration": load_ns + (prompt + answer) * _NS_PER_TOKEN,
            "load_duration": load_ns,
            "prompt_eval_count": prompt,
            "prompt_eval_duration": prompt * _NS_PER_TOKEN,
            "eval_count": answer,
            "eval_duration": answer * _NS_PER_TOKEN,
        }
        if self.cached_tokens is not None:
            final["prompt_eval_cached_count"] = self.cached_tokens
        return final


def encode(value: object) -> bytes:
    """Compact JSON as Go writes it: UTF-8, with the HTML characters and two line separators escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_ESCAPED_BY_GO).encode()


def _line(chat: JsonObject, message: JsonObject) -> JsonObject:
    full = {"role": "assistant", **message}
    return {"model": chat["model"], "created_at": CREATED_AT, "message": full, "done": False}


def _texts(pieces: Iterable[str]) -> tuple[JsonObject, ...]:
    return tuple({"content": piece} for piece in pieces)


def _thoughts(pieces: Iterable[str]) -> tuple[JsonObject, ...]:
    return tuple({"content": "", "thinking": piece} for piece in pieces)

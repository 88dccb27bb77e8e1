"""How an answer is written: one writer for each API, over the same events and the same way of sending them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson

from chains.events import Finished, RouterEvent, TextDelta, Usage
from config.errors import RouterError
from wire.chunks import Stamp, completion, error_chunk, event_chunk, first_chunk, text_chunk, usage_chunk
from wire.sse import DONE, HEARTBEAT, encode

Explanation = Mapping[str, Any] | None


class AnswerWriter(Protocol):
    """Writes one answer, streamed as `opened`, `event`…, `ended`, `closed`, or `opened`, `event`…, `broken`; or whole.

    A writer may keep what it wrote, so that each answer has its own.
    """

    heartbeat: bytes

    def opened(self, explanation: Explanation) -> bytes:
        """What begins the stream; `explanation` is the decision, for a client that asked for it."""
        ...

    def event(self, event: RouterEvent) -> bytes:
        """One event before the last; empty for what a client does not see."""
        ...

    def ended(self, finished: Finished) -> bytes:
        """What follows the last piece of a whole answer."""
        ...

    def closed(self) -> bytes:
        """The last bytes of a whole answer, sent once its run has ended."""
        ...

    def broken(self, error: RouterError, *, spoke: bool) -> bytes:
        """Ends a broken answer so that nobody takes it for a whole one; `spoke`: words or calls were sent before."""
        ...

    def whole(self, events: Sequence[RouterEvent], explanation: Explanation) -> dict[str, Any]:
        """The answer as one JSON object; the last event is the `Finished`."""
        ...


class ChatWriter:
    """Writes chat completions; `lenient_end` for Cline's SDK, which gives up at an error object."""

    heartbeat = HEARTBEAT

    def __init__(self, stamp: Stamp, *, include_usage: bool = False, lenient_end: bool = False) -> None:
        self._stamp = stamp
        self._include_usage = include_usage
        self._lenient_end = lenient_end
        # All but the words is the same in each piece of text.
        self._before_text, _, self._after_text = encode(text_chunk(stamp, "")).rpartition(b'""')

    def opened(self, explanation: Explanation) -> bytes:
        return encode(first_chunk(self._stamp, explanation))

    def event(self, event: RouterEvent) -> bytes:
        if isinstance(event, TextDelta):
            return self._before_text + orjson.dumps(event.text) + self._after_text
        chunk = event_chunk(self._stamp, event)
        return encode(chunk) if chunk else b""

    def ended(self, finished: Finished) -> bytes:
        usage: Usage | None = finished.usage if self._include_usage else None
        return self.event(finished) + (encode(usage_chunk(self._stamp, usage)) if usage else b"")

    def closed(self) -> bytes:
        return DONE

    def broken(self, error: RouterError, *, spoke: bool) -> bytes:
        """Cline's SDK asks again after an empty answer that ends with `error`, but not after an error object."""
        chunk = error_chunk(self._stamp, error)
        if self._lenient_end and not spoke:
            del chunk["error"]
        return encode(chunk) + DONE

    def whole(self, events: Sequence[RouterEvent], explanation: Explanation) -> dict[str, Any]:
        return completion(self._stamp, events, explanation)

"""uvicorn's HTTP protocol with bounds on how long a request may take to arrive, and on how large its head may be."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from config.errors import HeadTooLarge, RouterError, TooSlow
from wire.errors import error_body, error_object, error_row

MAX_HEAD_BYTES = 64 * 1024


class PatientProtocol(HttpToolsProtocol):
    """Closes a connection whose request is not whole in time; uvicorn itself bounds only the pause between requests.

    Args:
        head_timeout_s: from the connection, or a request's first byte, to the end of its headers.
        body_timeout_s: from there to the end of its body; time in which the service reads nothing is not counted.
    """

    def __init__(self, *given: Any, head_timeout_s: float, body_timeout_s: float, **named: Any) -> None:
        super().__init__(*given, **named)
        self.url = b""
        self._head_timeout_s = head_timeout_s
        self._body_timeout_s = body_timeout_s
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._parsed_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(_too_large())
        elif self._timer is None and self._is_idle():
            # Empty lines between requests begin none, and would hold the connection for ever.
            self._begin_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin_head()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._parsed_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._parsed_bytes += len(name) + len(value)

    def on_headers_complete(self) -> None:
        if self._parsed_bytes > MAX_HEAD_BYTES:
            # They came in one read, before what came could be counted.
            self._head_bytes = self._parsed_bytes
            self._refuse(_too_large())
            return
        super().on_headers_complete()
        self._in_head = False
        self._wait_at_most(self._body_timeout_s)

    def on_body(self, body: bytes) -> None:
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self.transport.is_closing():
            return
        super().on_message_complete()
        self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _begin_head(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._parsed_bytes = 0
        self._wait_at_most(self._head_timeout_s)

    def _wait_at_most(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, self._ran_out, seconds)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ran_out(self, seconds: float) -> None:
        if self.flow.read_paused or (self._in_head and not self._is_idle()):
            self._wait_at_most(seconds)
            return
        part, setting = ("headers", "head_timeout_s") if self._in_head else ("body", "body_timeout_s")
        self._refuse(
            TooSlow(f"The request's {part} did not arrive within {seconds:g} s (server.{setting}): send it faster.")
        )

    def _is_idle(self) -> bool:
        """Whether no earlier request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _refuse(self, error: RouterError) -> None:
        """Answer by hand where an answer is due, as no application may know of this request; then close."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        if (self._is_idle() and self._head_bytes) if self._in_head else not self.cycle.response_started:
            status = error_row(error).status
            path = self.url.decode("ascii", "replace")
            body = error_body(status, error_object(error), path=path, request_id=None)
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + head + body)
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()


def _too_large() -> HeadTooLarge:
    return HeadTooLarge(f"The request's headers have more than {MAX_HEAD_BYTES} bytes: send fewer of them.")

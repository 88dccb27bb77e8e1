"""HTTP/1.1 written by hand over one TCP connection, so that a test can break it at any byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from tests.support.ollama_replies import Whole


@dataclass(frozen=True)
class Request:
    """A request as it arrived; `at` is the event loop's clock in seconds, header names are lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    at: float


class Connection:
    """Reads requests, writes answers, and knows at any moment whether the client has hung up.

    `busy`: from a request's arrival until just before the last byte of its answer is written.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.gone = asyncio.Event()
        self.busy = False
        self.dropped = False
        self._reader = reader
        self._writer = writer
        self._received = bytearray()
        self._grew = asyncio.Event()
        self._pump = asyncio.create_task(self._read_on())

    async def _read_on(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await self._reader.read(65_536):
                self._received += data
                self._grew.set()
        self.gone.set()
        self._grew.set()

    async def next_request(self) -> Request | None:
        """The next request on this connection, or None when the client has closed it."""
        while b"\r\n\r\n" not in self._received:
            if not await self._more():
                return None
        head, _, rest = bytes(self._received).partition(b"\r\n\r\n")
        start, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
        length = int(headers.get("content-length", "0"))
        while len(self._received) < len(head) + 4 + length:
            if not await self._more():
                return None
        rest = bytes(self._received[len(head) + 4 :])
        self._received = bytearray(rest[length:])
        method, target, _ = start.split(" ", 2)
        now = asyncio.get_running_loop().time()
        return Request(method, target.partition("?")[0], headers, _parsed(rest[:length]), now)

    async def _more(self) -> bool:
        if not self.gone.is_set():
            self._grew.clear()
            await self._grew.wait()
        return not self.gone.is_set()

    async def send_whole(self, answer: Whole, *, with_body: bool = True) -> None:
        extra = {
            "content-type": answer.content_type,
            "content-length": str(len(answer.body)),
            **answer.headers,
        }
        self.busy = False
        self._writer.write(_head(answer.status, extra))
        if with_body:
            self._writer.write(answer.body[: answer.sent])
        await self._writer.drain()

    async def start_stream(self) -> None:
        fields = {"content-type": "application/x-ndjson", "transfer-encoding": "chunked"}
        self._writer.write(_head(200, fields))
        await self._writer.drain()

    async def send_chunk(self, data: bytes, *, last: bool = False) -> None:
        """One HTTP chunk; with `last` the end of the chunked coding travels in the same write."""
        self.busy = not last
        chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        self._writer.write(chunk + (b"0\r\n\r\n" if last else b""))
        await self._writer.drain()

    def reset(self) -> None:
        """Close with a TCP reset instead of a FIN."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    def drop(self) -> None:
        """End it from the server's side: what is going on here is no client's hang-up."""
        self.dropped = True
        if self.busy:
            self.abort()
        else:
            self._writer.close()

    def abort(self) -> None:
        self.busy = False
        self._writer.transport.abort()

    async def close(self) -> None:
        """Send what is buffered, close, and wait for the end of the reading task."""
        self.busy = False
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        self._pump.cancel()
        await asyncio.wait({self._pump})


def _head(status: int, fields: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body

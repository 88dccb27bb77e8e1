"""Sends requests over kept connections and takes times: raw sockets, so that measuring costs next to nothing."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

GIVE_UP_AFTER_S = 120.0
OK = b"HTTP/1.1 200"
_FIRST_TOKEN = re.compile(rb'"content": ?"[^"]')
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Refused(Exception):
    """A contender answered with an error, or not with what it was to say."""


@dataclass(slots=True)
class Answer:
    """What came of one request; times in seconds from its first byte being written."""

    first_token_s: float | None = None
    whole_s: float = 0.0
    body: bytearray = field(default_factory=bytearray)


class Client(asyncio.Protocol):
    """One kept connection; one request at a time. Made anew where the server has closed it between two of them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._answer = Answer()
        self._ends_at: int | None = None
        self._started = 0.0
        self._done: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    async def connect(self) -> None:
        """Open the connection."""
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    async def ask(self, request: bytes) -> Answer:
        """Send one request and take its answer in to the end; raises `Refused` where its status is not 200."""
        if self._transport.is_closing():
            await self.connect()
        self._answer, self._ends_at = Answer(), None
        self._done = asyncio.get_running_loop().create_future()
        self._started = time.perf_counter()
        self._transport.write(request)
        async with asyncio.timeout(GIVE_UP_AFTER_S):
            answer = await self._done
        if not answer.body.startswith(OK):
            raise Refused(answer.body[:600].decode(errors="replace"))
        return answer

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        answer = self._answer
        answer.body += data
        if answer.first_token_s is None and _FIRST_TOKEN.search(answer.body):
            answer.first_token_s = now - self._started
        if self._ends_at is None:
            self._ends_at = _end_of(answer.body)
        ended = len(answer.body) >= self._ends_at if self._ends_at else answer.body.endswith(b"\r\n0\r\n\r\n")
        if ended and self._done and not self._done.done():
            answer.whole_s = now - self._started
            self._done.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        if self._done and not self._done.done():
            self._done.set_exception(error or Refused(f"hung up after {bytes(self._answer.body[-200:])!r}"))

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


def _end_of(body: bytes | bytearray) -> int | None:
    """Where an answer of known length ends; 0 for one in chunks, None while the head is not there."""
    head = body.find(b"\r\n\r\n")
    if head < 0:
        return None
    length = _LENGTH.search(body, 0, head)
    return head + 4 + int(length.group(1)) if length else 0


@asynccontextmanager
async def connected(port: int, clients: int = 1) -> AsyncIterator[list[Client]]:
    """So many connections, closed in the end."""
    made = [Client(port) for _ in range(clients)]
    for client in made:
        await client.connect()
    try:
        yield made
    finally:
        for client in made:
            client.close()


@dataclass(frozen=True, slots=True)
class Sent:
    """All answers of one load, and how long they took together in seconds."""

    answers: list[Answer]
    seconds: float


async def send(clients: list[Client], next_request: Callable[[], bytes], *, seconds: float, at_least: int) -> Sent:
    """Each client asks again as soon as it has its answer, for so long and at least so many times in all.

    Raises:
        Refused, OSError, TimeoutError: what the first client met that was not answered.
    """
    answers: list[Answer] = []
    begun = 0
    started = time.perf_counter()

    async def keep_asking(client: Client) -> None:
        nonlocal begun
        while begun < at_least or time.perf_counter() - started < seconds:
            begun += 1
            answers.append(await client.ask(next_request()))

    try:
        async with asyncio.TaskGroup() as asking:
            for client in clients:
                asking.create_task(keep_asking(client))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return Sent(answers, time.perf_counter() - started)

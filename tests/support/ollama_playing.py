"""Plays one reply to one connection: gates, pace, chunks and the ways to end too early."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.support.ollama_http import Connection
from tests.support.ollama_replies import Reply


class Gates:
    """Where replies are held until `release()`; `changed` is called when one is held or let go."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.held: list[asyncio.Event] = []
        self._pass_next = False
        self._changed = changed

    def release(self) -> None:
        """Open every gate where a reply is held now; where none is, the next one to be reached."""
        self._pass_next = not self.held
        while self.held:
            self.held.pop().set()

    async def hold(self, reply: Reply, *places: int) -> None:
        """Wait once for each of the reply's gates among these places."""
        for _ in reply.gates.intersection(places):
            if self._pass_next:
                self._pass_next = False
                continue
            gate = asyncio.Event()
            self.held.append(gate)
            self._changed()
            try:
                await gate.wait()
            finally:
                if gate in self.held:
                    self.held.remove(gate)
                self._changed()


async def play_stream(connection: Connection, reply: Reply, lines: list[bytes], gates: Gates) -> bool:
    """Send the lines as the reply says; False when the connection must not be used again."""
    await connection.start_stream()
    cut = reply.cut
    stop = len(lines) if cut is None else min(cut.after, len(lines))
    for sent, line in enumerate(lines[:stop]):
        await gates.hold(reply, sent)
        await asyncio.sleep(reply.interval_s if sent else 0)
        await _send_line(connection, line, reply.chunk_bytes, last=cut is None and sent + 1 == stop)
    await gates.hold(reply, stop)
    if cut is None:
        return True
    if cut.half_line and stop < len(lines):
        await connection.send_chunk(lines[stop][: len(lines[stop]) // 2])
    if cut.reset:
        await asyncio.sleep(0)
        connection.reset()
    elif cut.terminated:
        await connection.send_chunk(b"", last=True)
    return cut.terminated


async def _send_line(connection: Connection, line: bytes, size: int | None, *, last: bool) -> None:
    step = size or len(line)
    for start in range(0, len(line), step):
        await connection.send_chunk(line[start : start + step], last=last and start + step >= len(line))
        if size:
            await asyncio.sleep(0)

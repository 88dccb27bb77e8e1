"""One call at a time per model (configurable), and a bound on how many may wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from config.errors import ModelBusy

BUSY_RETRY_AFTER_S = 10.0


class Leases:
    """The places of one model; first come, first served. A waiting caller that is cancelled leaves the queue."""

    def __init__(self, model: str, *, places: int, max_waiting: int) -> None:
        self._model = model
        self._places = asyncio.Semaphore(places)
        self._max_waiting = max_waiting
        self._waiting = 0
        self._running = 0

    @property
    def waiting(self) -> int:
        """How many calls wait for a place now."""
        return self._waiting

    @property
    def calls(self) -> int:
        """How many calls run or wait."""
        return self._waiting + self._running

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Wait for a place and keep it for the block; raises `ModelBusy` where too many wait."""
        if self._places.locked() and self._waiting >= self._max_waiting:
            raise ModelBusy(
                f"{self._waiting} calls wait for {self._model} already (backend.max_waiting_calls): try again later.",
                retry_after_s=BUSY_RETRY_AFTER_S,
            )
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._places.release()

"""A timer that is set anew at next to no cost, for limits that are put off with each piece of an answer."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable


class Alarm:
    """Calls `ring` once the time it was last set to has come; being put off, it only looks anew at the old time.

    To make and cancel a timer, as `asyncio.timeout` does, took a tenth of what passing on a piece does.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set_in(self, seconds: float) -> None:
        """Ring so many seconds from now, and not at the time set before."""
        self.set_at(self._loop.time() + seconds)

    def set_at(self, due: float) -> None:
        """The same by the event loop's clock."""
        self._due = due
        if self._timer is None or due < self._timer.when():
            self._look_at(due)

    def close(self) -> None:
        """Never ring any more."""
        self._due = math.inf
        if self._timer is not None:
            self._timer.cancel()

    def _look_at(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._loop.time() >= self._due:
            self._due = math.inf
            self._ring()
        elif self._due < math.inf:
            self._look_at(self._due)

"""Leases on models: who may call one now, who waits, and for how long that is likely to be."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from backends.residency import Residency
from backends.schedule import Limits, Queue, next_turn
from config.errors import ModelBusy

# Until a call of the model was measured.
FIRST_SERVICE_S = 10.0
# One call moves the estimate by this share of the way.
STEP = 0.3
LONGEST_RETRY_AFTER_S = 600.0
# Of the time it took to load: how long an idle model is kept for a call that would save loading it anew.
LINGER_SHARE = 0.25


@dataclass(eq=False, slots=True)
class _Call:
    came_at: float
    turn: asyncio.Future[None]


@dataclass(slots=True)
class _Calls:
    """One model's calls; `service_s` is how long one holds its place, None until one was measured."""

    waiting: deque[_Call] = field(default_factory=deque)
    running: int = 0
    kept_until: float = -math.inf
    lingers_s: float = 0.0
    idle_since: float = -math.inf
    service_s: float | None = None

    def measured(self, seconds: float) -> None:
        known = seconds if self.service_s is None else self.service_s
        self.service_s = known + STEP * (seconds - known)

    def queue(self) -> Queue:
        oldest = self.waiting[0].came_at if self.waiting else None
        return Queue(oldest, self.running, self.kept_until, self.idle_since + self.lingers_s)


class Leases:
    """The queues of all models; decides by `backends.schedule`. A waiting caller that is cancelled leaves its queue.

    `load_s` is how long a model takes to load, as measured: having been loaded, it is kept for as long again, so that
    at most half of the time goes into loading.
    """

    def __init__(self, limits: Limits, residency: Residency, load_s: Callable[[str], float]) -> None:
        self._limits = limits
        self._residency = residency
        self._load_s = load_s
        self._models: dict[str, _Calls] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> Mapping[str, int]:
        """How many calls wait, by model."""
        return {name: len(calls.waiting) for name, calls in self._models.items()}

    @property
    def calls(self) -> Mapping[str, int]:
        """How many calls run or wait, by model."""
        return {name: len(calls.waiting) + calls.running for name, calls in self._models.items()}

    @asynccontextmanager
    async def hold(self, model: str) -> AsyncIterator[None]:
        """Wait for this call's turn and keep its place for the block; raises `ModelBusy` where too many wait."""
        calls = self._models.setdefault(model, _Calls())
        await self._wait_for_turn(model, calls)
        began_at = _now()
        try:
            yield
            calls.measured(_now() - began_at)
        finally:
            self._end(model, calls)

    async def _wait_for_turn(self, model: str, calls: _Calls) -> None:
        call = _Call(_now(), asyncio.get_running_loop().create_future())
        calls.waiting.append(call)
        self._start_what_may()
        if len(calls.waiting) > self._limits.max_waiting and not call.turn.done():
            calls.waiting.remove(call)
            raise ModelBusy(
                f"{len(calls.waiting)} calls wait for {model} already (backend.max_waiting_calls): try again later.",
                retry_after_s=self._retry_after_s(calls),
            )
        try:
            await call.turn
        except asyncio.CancelledError:
            if call.turn.cancelled():
                with suppress(ValueError):
                    calls.waiting.remove(call)
                self._start_what_may()
            else:  # it was given its place in the same moment
                self._end(model, calls)
            raise

    def _end(self, model: str, calls: _Calls) -> None:
        calls.running -= 1
        if not calls.running:
            calls.idle_since = _now()
            self._residency.ends(model)
        self._start_what_may()

    def _retry_after_s(self, calls: _Calls) -> float:
        """How long it is likely to be until one more may wait."""
        service_s = FIRST_SERVICE_S if calls.service_s is None else calls.service_s
        return min(service_s / self._limits.calls_per_model, LONGEST_RETRY_AFTER_S)

    def _start_what_may(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        while True:
            queues = {name: calls.queue() for name, calls in self._models.items()}
            turn = next_turn(queues, self._residency.loaded, self._residency.victims, self._limits, _now())
            if turn.model is None:
                break
            self._start(turn.model)
        if turn.look_again_at < math.inf:
            self._timer = asyncio.get_running_loop().call_at(turn.look_again_at, self._start_what_may)

    def _start(self, model: str) -> None:
        calls = self._models[model]
        call = calls.waiting.popleft()
        if call.turn.cancelled():
            return
        if model not in self._residency.loaded:
            load_s = self._load_s(model)
            calls.kept_until, calls.lingers_s = _now() + 2 * load_s, LINGER_SHARE * load_s
        self._residency.begins(model, [name for name, each in self._models.items() if each.running])
        calls.running += 1
        call.turn.set_result(None)


def _now() -> float:
    return asyncio.get_running_loop().time()

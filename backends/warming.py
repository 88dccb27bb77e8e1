"""Loads models before they are called, one after the other, and never in the way of a call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context

import structlog

from backends.budget import MemoryPlan
from backends.residency import Residency
from backends.types import ModelCard, Occupancy
from config.errors import RouterError

# How long nobody calls before a loading that a call has ended goes on: longer than the pauses of a tool loop.
QUIET_S = 30.0

log = structlog.get_logger(__name__)


class Warming:
    """At most one model is being loaded ahead of time; any call ends that, unless it is for that very model,
    and `go_on` takes it up again.

    `load` loads one model and may raise `RouterError`; `look` and `plan` tell what is loaded, busy and would fit.
    """

    def __init__(
        self,
        load: Callable[[ModelCard], Awaitable[None]],
        look: Callable[[], Awaitable[Occupancy]],
        plan: Callable[[], MemoryPlan],
        residency: Residency,
    ) -> None:
        self._load = load
        self._look = look
        self._plan = plan
        self._residency = residency
        # Not by waiting for the task before: that one would hold the one before it, and so on, for as long.
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._loading: str | None = None
        self._left: tuple[ModelCard, ...] = ()

    def begin(self, cards: Iterable[ModelCard], *, displace: bool = False) -> None:
        """Load these in turn, in the background, where nobody calls a model; what was to be loaded before is dropped.

        A model that would push another one out is left alone, unless `displace`.
        """
        self._end()
        self._left = tuple(cards)
        self._start(displace=displace)

    def give_way(self, model: str) -> None:
        """A call for `model` begins: the server belongs to it."""
        if model != self._loading:
            self._end()

    def go_on(self) -> None:
        """A call ends: load what calls have left unloaded, where nothing has to go for it, once it has been quiet."""
        if self._left and self._task and (self._task.done() or self._task.cancelling()):
            self._start(quiet_s=QUIET_S)

    async def aclose(self) -> None:
        """End what is being loaded."""
        self._left = ()
        self._end()
        if self._task:
            await asyncio.wait({self._task})
        async with self._one_at_a_time:  # the task before it may still be ending
            pass

    def _end(self) -> None:
        if self._task:
            self._task.cancel()

    def _start(self, *, displace: bool = False, quiet_s: float = 0.0) -> None:
        """In a context of its own, as that of the request that leads to it holds all of the request."""
        loading = self._load_in_turn(displace=displace, quiet_s=quiet_s)
        self._task = asyncio.create_task(loading, name="warm-models", context=Context())

    async def _load_in_turn(self, *, displace: bool, quiet_s: float) -> None:
        async with self._one_at_a_time:
            await asyncio.sleep(quiet_s)
            await self._load_left(displace=displace)

    async def _load_left(self, *, displace: bool) -> None:
        while self._left:
            card = self._left[0]
            found = await self._look()
            if any(found.calls.values()):
                return
            missing = found.loaded is not None and not found.holds(card.name)
            if missing and (displace or self._has_room(card)) and not await self._could_load(card):
                self._left = ()
                return
            self._left = self._left[1:]

    async def _could_load(self, card: ModelCard) -> bool:
        """Load it; whether that could be done."""
        self._loading = card.name
        try:
            await self._load(card)
        except RouterError as error:
            log.warning("model could not be loaded ahead of time", model=card.name, error=error.message)
            return False
        finally:
            self._loading = None
        return True

    def _has_room(self, card: ModelCard) -> bool:
        together = self._residency.loaded | {card.name}
        return not self._residency.victims(card.name) and self._plan().fits(together)

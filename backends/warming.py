"""Loads models before they are called, one after the other, and never in the way of a call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog

from backends.budget import MemoryPlan
from backends.residency import Residency
from backends.types import ModelCard, Occupancy
from config.errors import RouterError

log = structlog.get_logger(__name__)


class Warming:
    """At most one model is being loaded ahead of time; any call ends that, unless it is for that very model.

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
        self._task: asyncio.Task[None] | None = None
        self._loading: str | None = None

    def begin(self, cards: Iterable[ModelCard], *, displace: bool = False) -> None:
        """Load these in turn, in the background, where nobody calls a model; what was to be loaded before is dropped.

        A model that would push another one out is left alone, unless `displace`.
        """
        self._end()
        self._task = asyncio.create_task(
            self._load_all(tuple(cards), self._task, displace=displace), name="warm-models"
        )

    def give_way(self, model: str) -> None:
        """A call for `model` begins: the server belongs to it."""
        if model != self._loading:
            self._end()

    async def aclose(self) -> None:
        """End what is being loaded."""
        self._end()
        if self._task:
            await asyncio.wait({self._task})

    def _end(self) -> None:
        if self._task:
            self._task.cancel()

    async def _load_all(
        self, cards: tuple[ModelCard, ...], before: asyncio.Task[None] | None, *, displace: bool
    ) -> None:
        if before:
            await asyncio.wait({before})
        for card in cards:
            if not await self._disturbs_nobody(card) or not (displace or self._has_room(card)):
                continue
            self._loading = card.name
            try:
                await self._load(card)
            except RouterError as error:
                log.warning("model could not be loaded ahead of time", model=card.name, error=error.message)
                return
            finally:
                self._loading = None

    async def _disturbs_nobody(self, card: ModelCard) -> bool:
        found = await self._look()
        return found.loaded is not None and not found.holds(card.name) and not any(found.calls.values())

    def _has_room(self, card: ModelCard) -> bool:
        together = self._residency.loaded | {card.name}
        return not self._residency.victims(card.name) and self._plan().fits(together)

"""Makes a call until it answers: anew where a failure may pass, by another role's model where that does not help.

All of it only while nothing of the answer was told, as half an answer cannot be taken back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import structlog

from chains.events import Progress, Retried, RouterEvent
from config.errors import BackendError
from graphs.deps import Deps
from graphs.stand_in import with_stand_in
from graphs.state import RouterState

LONGEST_RETRY_WAIT_S = 10.0

_Answer = TypeVar("_Answer")
Call = Callable[[RouterState], Awaitable[_Answer]]

log = structlog.get_logger(__name__)


class Teller:
    """Passes events on, and knows whether something of the answer was among them."""

    def __init__(self, write: Callable[[RouterEvent], None]) -> None:
        self._write = write
        self.begun = False

    def __call__(self, event: RouterEvent) -> None:
        self.begun = self.begun or not isinstance(event, Progress)
        self._write(event)


async def answered_by_somebody(state: RouterState, deps: Deps, tell: Teller, call: Call[_Answer]) -> _Answer:
    """What `call` returns for the state, or for the state with the first stand-in that answers.

    Raises:
        BackendError, ContextTooLong: as the last model's call does.
    """
    while True:
        try:
            return await _retried(partial(call, state), deps, tell)
        except BackendError as error:
            order = deps.router.fallbacks.get(state["decision"].role, ())
            other = None if tell.begun else with_stand_in(state, error, await deps.models.cards(), order)
            if other is None:
                raise
            if other["decision"].role != state["decision"].role:
                decision = other["decision"]
                log.warning("another model stands in", role=decision.role, instead_of=decision.fallback)
            state = other


async def _retried(call: Callable[[], Awaitable[_Answer]], deps: Deps, tell: Teller) -> _Answer:
    """A random part of a pause that doubles lies before each further time, so that many who failed do not come back at
    once.
    """
    pauses_s = (
        min(deps.retries.first_wait_s * 2**failed, LONGEST_RETRY_WAIT_S) for failed in range(deps.retries.times)
    )
    for attempt, pause_s in enumerate(pauses_s, 1):
        try:
            return await call()
        except BackendError as error:
            if not error.transient or tell.begun:
                raise
            tell(Retried(attempt, type(error).__name__))
        await asyncio.sleep(random.uniform(0.0, pause_s))  # noqa: S311 - keeps no secret
    return await call()

"""Makes a call until it answers: anew where a failure may pass, by another role's model where that does not help.

All of it only while nothing of the answer was told, as half an answer cannot be taken back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

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
    """Most calls need no second time, and tenacity's objects cost as much as a node of the graph."""
    try:
        return await call()
    except BackendError as error:
        failed = [error]

    async def call_anew() -> _Answer:
        if failed:
            raise failed.pop()  # the first time, which tenacity is to judge, tell of and pause after
        return await call()

    def may_pass(error: BaseException) -> bool:
        return isinstance(error, BackendError) and error.transient and not tell.begun

    def tell_of(attempt: RetryCallState) -> None:
        error = attempt.outcome and attempt.outcome.exception()
        tell(Retried(attempt.attempt_number, type(error).__name__))

    retrying = AsyncRetrying(
        stop=stop_after_attempt(1 + deps.retries.times),
        wait=wait_random_exponential(deps.retries.first_wait_s, max=LONGEST_RETRY_WAIT_S),
        retry=retry_if_exception(may_pass),
        before_sleep=tell_of,
        reraise=True,
    )
    try:
        return await retrying(call_anew)
    finally:
        retrying.iter_state.reset()  # what it holds of itself would keep the request until a collection of garbage

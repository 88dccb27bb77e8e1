"""Keeps calls away from a model whose last ones failed, until a look at it and one call show that it is well again."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from config.errors import (
    BackendError,
    FirstTokenTimeout,
    IdleTimeout,
    LoadTimeout,
    ModelBroken,
    ModelMissing,
    UpstreamBroken,
)

BreakerState = Literal["closed", "open", "half_open"]
STATES: tuple[BreakerState, ...] = get_args(BreakerState)

# What says that this model is unwell; a server that is away or busy says nothing of a model, nor does a bad request.
FAILURES = (UpstreamBroken, LoadTimeout, FirstTokenTimeout, IdleTimeout, ModelMissing)


class Breaker:
    """One model's: opens after so many failed calls in a row, for `open_s`.

    When that is over it is `due`: the owner looks at the model by some cheap request that loads nothing and calls
    `looked`. If it is well the breaker is half open: one call is let through, and its end closes or opens it again.
    """

    def __init__(self, model: str, *, failures: int, open_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._model = model
        self._most = failures
        self._open_s = open_s
        self._now = now
        self._failures = 0
        self._last = ""
        self._open_until: float | None = None
        self._may_try = False
        self._trying = False

    @property
    def state(self) -> BreakerState:
        """`half_open` from a good look until the call that was let through has ended."""
        if self._open_until is None:
            return "closed"
        return "half_open" if self._may_try else "open"

    @property
    def due(self) -> bool:
        """Whether the model should be looked at."""
        return self.state == "open" and self._open_until is not None and self._now() >= self._open_until

    @property
    def reason(self) -> str | None:
        """Why no call may be made now; None where one may."""
        if self.state == "closed" or (self.state == "half_open" and not self._trying):
            return None
        return f"the last {self._failures} calls of {self._model} failed ({self._last})"

    def looked(self, *, well: bool) -> None:
        """How the look at a due model ended."""
        if well:
            self._may_try = True
        else:
            self._open()

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Count how a call ends; one that is cancelled counts for nothing.

        Raises:
            ModelBroken: no call may be made now.
        """
        if reason := self.reason:
            raise ModelBroken(f"No call is made now, as {reason}: try again later.", retry_after_s=self._open_s)
        self._trying = self._may_try
        try:
            yield
        except FAILURES as error:
            self._failures += 1
            self._last = type(error).__name__
            if self._trying or self._failures >= self._most:
                self._open()
            raise
        else:
            self._failures, self._open_until, self._may_try = 0, None, False
        finally:
            self._trying = False

    def _open(self) -> None:
        self._open_until, self._may_try = self._now() + self._open_s, False


class Breakers:
    """Those of the models that were called so far; `look` is a cheap request for a model, which raises if it fails."""

    def __init__(self, *, failures: int, open_s: float, look: Callable[[str], Awaitable[object]]) -> None:
        self._failures = failures
        self._open_s = open_s
        self._look = look
        self.by_model: dict[str, Breaker] = {}

    def of(self, model: str) -> Breaker:
        """The model's own, closed at first."""
        if model not in self.by_model:
            self.by_model[model] = Breaker(model, failures=self._failures, open_s=self._open_s)
        return self.by_model[model]

    async def broken(self) -> dict[str, str]:
        """Why a model gets no call now, by model, once those that are due have been looked at."""
        for model, breaker in list(self.by_model.items()):
            if breaker.due:
                try:
                    await self._look(model)
                except BackendError:
                    breaker.looked(well=False)
                else:
                    breaker.looked(well=True)
        return {model: reason for model, breaker in self.by_model.items() if (reason := breaker.reason)}

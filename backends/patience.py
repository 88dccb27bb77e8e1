"""The time limits of one call: connecting, loading the model, the first token, and silence between tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from backends.alarm import Alarm
from config.errors import FirstTokenTimeout, IdleTimeout, LoadTimeout, ModelTimeout

# How many times longer than expected reading a prompt or writing a call may take: the estimate is of an idle machine.
PATIENCE = 4.0

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Seconds. The first token's limit follows from how long the prompt is expected to take, within floor and ceiling.

    `first_token_s` is the ceiling, and the limit where nothing is known of the prompt. Ollama sends nothing of a tool
    call until it is whole: where one may come, `call_s` is how long the longest one should take to write, else 0.
    """

    connect_s: float
    first_token_s: float
    idle_s: float
    load_s: float = 600.0
    first_token_floor_s: float = 120.0

    def first_token_limit_s(self, prefill_s: float | None, call_s: float = 0.0) -> float:
        """For a prompt that should take `prefill_s` to read."""
        if prefill_s is None:
            return self.first_token_s
        return min(self.first_token_s, max(self.first_token_floor_s, PATIENCE * (prefill_s + call_s)))

    def idle_limit_s(self, call_s: float) -> float:
        """For silence in mid-answer, which may be a call being written."""
        return max(self.idle_s, min(self.first_token_s, PATIENCE * call_s))


class Deadline:
    """Applies the first token's limit until something of the answer came, the idle limit afterwards. One task waits at
    a time; `close` ends it.
    """

    def __init__(self, name: str, limits: CallLimits, prefill_s: float | None = None, call_s: float = 0.0) -> None:
        self._name = name
        self._idle_s = limits.idle_limit_s(call_s)
        self._first_token_s = limits.first_token_limit_s(prefill_s, call_s)
        self._first_by = asyncio.get_running_loop().time() + self._first_token_s
        self._started = False
        self._alarm = Alarm(self._run_out)
        self._waiting: asyncio.Task[Any] | None = None
        self._ran_out = False

    def saw(self, chunk: Mapping[str, Any]) -> None:
        """Take note of a chunk, which may be the answer's first piece."""
        if self._started:
            return
        message = chunk.get("message")
        if isinstance(message, dict) and any(message.get(key) for key in ("content", "thinking", "tool_calls")):
            self._started = True

    async def wait(self, awaitable: Awaitable[_Value]) -> _Value:
        """Raises `FirstTokenTimeout` or `IdleTimeout`."""
        task = self._waiting = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        cancelling = task.cancelling()
        if self._started:
            self._alarm.set_in(self._idle_s)
        else:
            self._alarm.set_at(self._first_by)
        try:
            return await awaitable
        except asyncio.CancelledError:
            # As `asyncio.timeout`: whoever else cancelled the task is to have his way.
            if self._ran_out and task.uncancel() <= cancelling:
                raise self._over() from None
            raise
        finally:
            self._waiting = None

    def close(self) -> None:
        """The call has ended."""
        self._alarm.close()
        del self._alarm  # each holds the other, and the timer's context the request: only a collection would part them

    def _run_out(self) -> None:
        if self._waiting is not None:
            self._ran_out = True
            self._waiting.cancel()

    def _over(self) -> ModelTimeout:
        if self._started:
            return IdleTimeout(
                f"{self._name} fell silent for {self._idle_s:.3g} s in mid-answer (backend.idle_timeout_s): try again."
            )
        return FirstTokenTimeout(
            f"{self._name} gave no token within {self._first_token_s:.3g} s (backend.first_token_floor_s and "
            "backend.first_token_timeout_s bound it): try again, or raise the limit."
        )


async def wait_for_load(name: str, limits: CallLimits, loading: Awaitable[_Value]) -> _Value:
    """Raises `LoadTimeout`."""
    try:
        async with asyncio.timeout(limits.load_s):
            return await loading
    except TimeoutError:
        raise LoadTimeout(
            f"{name} was not loaded within {limits.load_s:.3g} s (backend.load_timeout_s): see what else uses the "
            "machine's memory, or raise the limit."
        ) from None

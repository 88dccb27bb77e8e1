"""Whose turn it is: decides from queues and clocks alone, and starts nothing itself.

- First come, first served within a model; the model whose oldest call has waited longest is looked at first.
- A model that is loaded is not pushed out while calls of its own run or wait, nor before it has been there for its
  minimum residence; when it falls idle, that ends after a short while in which the next call of a loop would come.
- A call that has waited for `switch_wait_s` is overdue: calls that wait no longer hold it up, and models that it would
  push out start no new ones once their minimum residence is over. So the oldest call of a model waits at most
  `switch_wait_s`, one minimum residence and the running calls for a switch, times the switches that are due before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Victims = Callable[[str, frozenset[str], frozenset[str]], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many calls may run and wait, and when a call that waits for a switch is overdue."""

    calls_per_model: int
    models_at_once: int
    max_waiting: int
    switch_wait_s: float


@dataclass(frozen=True, slots=True)
class Queue:
    """One model's calls: when its oldest waiting one came (None without), how many run, and until when it is kept.

    Times are seconds of one clock; `kept_until` is the end of the model's minimum residence, `lingers_until` the time
    until which it is kept without a call.
    """

    oldest: float | None
    running: int
    kept_until: float = -math.inf
    lingers_until: float = -math.inf

    @property
    def stays_until(self) -> float:
        """The time before which it is not pushed out, as things are."""
        if self.running or self.oldest is not None:
            return self.kept_until
        return min(self.kept_until, self.lingers_until)


@dataclass(frozen=True, slots=True)
class Turn:
    """The model whose oldest call starts now, or None; `look_again_at` is when time alone may change that."""

    model: str | None
    look_again_at: float = math.inf


def next_turn(
    queues: Mapping[str, Queue], loaded: frozenset[str], victims: Victims, limits: Limits, now: float
) -> Turn:
    """The next call to start.

    `victims(model, busy, among)` are the models of `among` that loading `model` would push out, `busy` ones last.
    """
    look = _Look(queues, loaded, victims, limits, now)
    look_again_at = math.inf
    for name in look.in_order:
        if look.has_a_place(name) and not look.yields(name):
            until = look.held_up_until(name)
            if until <= now:
                return Turn(name)
            look_again_at = min(look_again_at, until)
    return Turn(None, look_again_at)


class _Look:
    """The queues at one moment."""

    def __init__(
        self, queues: Mapping[str, Queue], loaded: frozenset[str], victims: Victims, limits: Limits, now: float
    ) -> None:
        self._queues = queues
        self._victims = victims
        self._limits = limits
        self._now = now
        self._busy = frozenset(name for name, queue in queues.items() if queue.running)
        self._loaded = loaded | self._busy
        self._since = {name: queue.oldest for name, queue in queues.items() if queue.oldest is not None}
        self.in_order = sorted(self._since, key=lambda name: (self._since[name], name))
        self._overdue = next((name for name in self.in_order if self._is_overdue(name)), None)

    def _is_overdue(self, name: str) -> bool:
        return name not in self._loaded and self._now >= self._since[name] + self._limits.switch_wait_s

    def has_a_place(self, name: str) -> bool:
        """Whether the limits allow another call of this model."""
        if name in self._busy:
            return self._queues[name].running < self._limits.calls_per_model
        return len(self._busy) < self._limits.models_at_once

    def yields(self, name: str) -> bool:
        """Whether a call of this model would keep an overdue one waiting for longer."""
        if self._overdue in {None, name} or self._now < self._queues[name].kept_until:
            return False
        return name in self._victims(str(self._overdue), self._busy, self._loaded | {name})

    def held_up_until(self, name: str) -> float:
        """The time from which no loaded model stands in the way; infinite where only a call's end can tell."""
        in_the_way = [
            self._queues[each] for each in self._victims(name, self._busy, self._loaded) if each in self._queues
        ]
        if any(queue.running for queue in in_the_way):
            return math.inf
        until = max((queue.stays_until for queue in in_the_way), default=-math.inf)
        if name == self._overdue or all(queue.oldest is None for queue in in_the_way):
            return until
        overdue_at = self._since[name] + self._limits.switch_wait_s
        return max(until, overdue_at) if overdue_at > self._now else math.inf

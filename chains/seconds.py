"""How long each model would take to its first token, learned from its own durations, and whether a switch pays."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from threading import Lock
from typing import Any, Literal, Self, TypeGuard

from config.schema import ROLES, Role

# What a right answer saves; docs/routing.md derives both from the reference machine.
# Too small a model: its tool loop (ten minutes on average, half an hour with the largest) was for nothing, a person has
# to read and see that, and asks again, so the seconds that were spared are paid after all.
TOO_SMALL_S = 3600.0
# Needlessly large: the answer is there and is paid for once, at the slower model's pace (five to eight minutes a tool
# loop), and a model for planning is not the one that was trained to write code.
NEEDLESSLY_LARGE_S = 900.0

# A short prompt's duration is mostly overhead and says little of the rate.
LEAST_LEARNED_TOKENS = 200
# Ollama reports tens of milliseconds for a model that was loaded all along.
LEAST_LEARNED_LOAD_S = 0.2
# One long prompt moves an estimate by this share of the way; a shorter one by less.
STEP = 0.3
FULL_WEIGHT_TOKENS = 4000
# A single measurement counts as at most so many times above or below the estimate: a machine that swapped, or a prompt
# that was cached without our knowing, is far off and wrong, while a true change is seen again and again.
FARTHEST_FACTOR = 2.0


@dataclass(frozen=True, slots=True)
class Speed:
    """What is known of one model on this machine; `load_s` from RAM's page cache into its place."""

    load_s: float
    prefill_tokens_per_s: float
    answer_tokens_per_s: float


@dataclass(frozen=True, slots=True)
class Expected:
    """Seconds to the first token, by what they are spent on."""

    load_s: float
    prefill_s: float
    queue_s: float

    @property
    def total_s(self) -> float:
        """All of them."""
        return self.load_s + self.prefill_s + self.queue_s


@dataclass(frozen=True, slots=True)
class Choice:
    """Which role answers, and why, in words for the log."""

    role: Role
    reason: str
    kind: Literal["best_fit", "stayed"] = "best_fit"


class Rates:
    """Each role's speed: a start value, then what the model's own durations tell. Thread-safe."""

    def __init__(self, start: Mapping[Role, Speed]) -> None:
        self._speeds = dict(start)
        self._lock = Lock()

    @classmethod
    def from_record(cls, start: Mapping[Role, Speed], record: Mapping[str, Any]) -> Self:
        """As `as_record` gave them; what is missing there or is no positive number keeps its start value."""
        rates = cls(start)
        for role in start:
            kept = record.get(role)
            if isinstance(kept, Mapping):
                known = {name: kept.get(name) for name in asdict(start[role])}
                usable = {name: float(value) for name, value in known.items() if _is_positive(value)}
                rates._speeds[role] = replace(start[role], **usable)
        return rates

    def as_record(self) -> dict[str, dict[str, float]]:
        """Plain numbers by role, to be kept between runs; they hold for the models that were measured."""
        with self._lock:
            return {role: asdict(speed) for role, speed in self._speeds.items()}

    def speed(self, role: Role) -> Speed:
        """The estimate as it stands."""
        with self._lock:
            return self._speeds[role]

    def expected(
        self, role: Role, *, resident: bool, prompt_tokens: int, cached_tokens: int = 0, waiting_s: float = 0.0
    ) -> Expected:
        """Seconds to the first token of a prompt of which the model, if it is resident, still holds `cached_tokens`."""
        speed = self.speed(role)
        unread = max(0, prompt_tokens - (cached_tokens if resident else 0))
        return Expected(
            load_s=0.0 if resident else speed.load_s,
            prefill_s=unread / speed.prefill_tokens_per_s,
            queue_s=waiting_s,
        )

    def learn(
        self,
        role: Role,
        *,
        load_s: float | None,
        prompt_tokens: int | None,
        prefill_s: float | None,
        cached_tokens: int = 0,
    ) -> None:
        """Take in one call's durations as Ollama tells them; None where it did not.

        A prompt with `cached_tokens` teaches nothing of the rate: Ollama counts them as read, in next to no time.
        """
        with self._lock:
            speed = self._speeds[role]
            if _is_positive(load_s) and load_s >= LEAST_LEARNED_LOAD_S:
                speed = replace(speed, load_s=_moved(speed.load_s, load_s, STEP))
            if (
                prompt_tokens is not None
                and prompt_tokens >= LEAST_LEARNED_TOKENS
                and cached_tokens <= 0
                and _is_positive(prefill_s)
            ):
                share = STEP * min(1.0, prompt_tokens / FULL_WEIGHT_TOKENS)
                rate = _moved(speed.prefill_tokens_per_s, prompt_tokens / prefill_s, share)
                speed = replace(speed, prefill_tokens_per_s=rate)
            self._speeds[role] = speed


def choose(
    probabilities: Mapping[Role, float],
    expected: Mapping[Role, Expected],
    current: Role | None,
    *,
    leaving_s: float = 0.0,
    too_small_s: float = TOO_SMALL_S,
    needlessly_large_s: float = NEEDLESSLY_LARGE_S,
) -> Choice:
    """The role that fits best, or `current` where what a switch gains is worth less than the seconds it costs.

    Only roles in `expected` can be chosen; one that `probabilities` does not name has none. `current` is the role whose
    model serves the conversation. `leaving_s` are seconds that a switch costs later, such as a tool loop of another
    conversation that comes back to the model and finds its prefix gone. The gain is the difference in probability times
    the seconds that a right answer saves: `too_small_s` where `current` is the smaller model of the two, else
    `needlessly_large_s`.

    Raises:
        ValueError: `expected` is empty.
    """
    fit = {role: probabilities.get(role, 0.0) for role in ROLES if role in expected}
    if not fit:
        raise ValueError("no role to choose from: `expected` is empty")
    # Of equally probable ones `current` wins, then the smaller.
    best = max(fit, key=lambda role: (fit[role], role == current, -ROLES.index(role)))
    if current is None or current == best or current not in fit:
        return Choice(best, f"{best} fits best ({fit[best]:.2f})")
    too_small = ROLES.index(current) < ROLES.index(best)
    gain_s = (fit[best] - fit[current]) * (too_small_s if too_small else needlessly_large_s)
    cost_s = expected[best].total_s + leaving_s - expected[current].total_s
    fits = f"{best} fits best ({fit[best]:.2f}, {current} {fit[current]:.2f})"
    # Equal seconds leave it to the fit, also where the difference in probability is next to nothing.
    if cost_s <= gain_s:
        return Choice(best, f"{fits}: worth {gain_s:.0f} s, the switch costs {cost_s:.0f} s")
    return Choice(current, f"{fits}, but is worth {gain_s:.0f} s and the switch costs {cost_s:.0f} s", "stayed")


def hand_over(
    probabilities: Mapping[Role, float], allowed: Collection[Role], fallbacks: Mapping[Role, Sequence[Role]]
) -> dict[Role, float]:
    """The probabilities with those of roles that cannot answer added to their first fallback that can.

    Without that, a quick question that outgrew the small model's window would go to whichever of the others its words
    happen to resemble more, which may be the slowest.
    """
    fit = {role: probabilities.get(role, 0.0) for role in allowed}
    for role, probability in probabilities.items():
        instead = next((each for each in (role, *fallbacks.get(role, ())) if each in fit), None)
        if role not in fit and instead is not None:
            fit[instead] += probability
    return fit


def _moved(estimate: float, seen: float, share: float) -> float:
    """`estimate` moved towards `seen` by `share` of the way, on a scale of factors."""
    way = math.log(seen / estimate)
    farthest = math.log(FARTHEST_FACTOR)
    return estimate * math.exp(share * max(-farthest, min(farthest, way)))


def _is_positive(value: Any) -> TypeGuard[float]:
    """Whether this is a finite number above zero."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0

"""How each model counts compared with us, learned from its own counts; and whether its server cut a prompt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Literal, Self

# What an estimate may be too low by: until so many answers told how the model counts, and afterwards.
LEARNED_AFTER = 3
UNLEARNED_MARGIN = 0.10
LEARNED_MARGIN = 0.02
# A short prompt is mostly template and says little of a long one.
LEAST_LEARNED_TOKENS = 200
STEP = 0.3
# Tokenizers differ from cl100k by less than this, whatever the language; a prompt that was cut does not.
LEAST_FACTOR = 0.5
MOST_FACTOR = 2.5
# A count that stays or falls while the prompt grows is a cut also where it is not so far below ours. Some templates
# leave out earlier thinking, which makes a longer prompt a little shorter.
CUT_BELOW = 0.9
# A server that counts only what it read anew may be off by so much in that part.
NEW_PART_SLACK_TOKENS = 300
NEW_PART_SLACK = 1.5
# Two prompts of different length with counts as near as this were both cut to the same size.
SAME_COUNT = 0.01

Verdict = Literal["whole", "only_new", "cut", "unknown"]


@dataclass(frozen=True, slots=True)
class Correction:
    """A model's tokens for each one of ours, and how far that may be too low, as a share."""

    factor: float = 1.0
    margin_share: float = 0.0

    def of(self, tokens: int) -> int:
        """Our count as the model's."""
        return math.ceil(tokens * self.factor)

    def margin_of(self, tokens: int) -> int:
        """What must be kept free beside a prompt of so many of the model's tokens."""
        return math.ceil(tokens * self.margin_share)


UNCORRECTED = Correction()
UNKNOWN = Correction(margin_share=UNLEARNED_MARGIN)


@dataclass(frozen=True, slots=True)
class Sent:
    """A prompt in our count: all of it, and what of it the model may still have had in its cache.

    `known_counted` is the model's own count of the prompt that this one only adds to, 0 where there is none.
    """

    tokens: int
    known_tokens: int = 0
    known_counted: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """A prompt that a server read only a part of."""

    sent_tokens: int
    counted_tokens: int
    times: int = 1


@dataclass(frozen=True, slots=True)
class _Learned:
    factor: float = 1.0
    answers: int = 0
    last_sent: int = 0
    last_counted: int = 0


class Corrections:
    """What is known of each model's counting, by the model's name. Thread-safe."""

    def __init__(self) -> None:
        self._learned: dict[str, _Learned] = {}
        self._cuts: dict[str, Cut] = {}
        self._lock = Lock()

    @classmethod
    def from_record(cls, record: object) -> Self:
        """As `as_record` gave it; what makes no sense there is left out."""
        corrections = cls()
        for name, kept in record.items() if isinstance(record, Mapping) else ():
            factor, answers = (kept.get("factor"), kept.get("answers")) if isinstance(kept, Mapping) else (None, None)
            if isinstance(factor, int | float) and LEAST_FACTOR <= factor <= MOST_FACTOR and isinstance(answers, int):
                corrections._learned[str(name)] = _Learned(float(factor), max(0, answers))
        return corrections

    def as_record(self) -> dict[str, dict[str, float]]:
        """Plain numbers by model, to be kept between runs."""
        with self._lock:
            return {
                name: {"factor": learned.factor, "answers": learned.answers} for name, learned in self._learned.items()
            }

    def of(self, models: Iterable[str]) -> dict[str, Correction]:
        """By name; a model that has not answered yet has the wide margin."""
        with self._lock:
            return {name: self._correction(name) for name in models}

    @property
    def cuts(self) -> Mapping[str, Cut]:
        """The last cut of each model whose server cut the last long prompt."""
        with self._lock:
            return dict(self._cuts)

    def report(self) -> dict[str, Any]:
        """For `/health`, by model: tokens for each one of ours, answers learned from, and the last cut."""
        cuts = self.cuts
        return {
            name: {"factor": round(kept["factor"], 3), "answers": kept["answers"], "cut": cuts.get(name)}
            for name, kept in self.as_record().items()
        }

    def learn(self, model: str, sent: Sent, counted: int, cached: int | None = None) -> Verdict:
        """Take in the model's own count of a prompt, and say what it tells of it.

        `cached` is what of it the server says it did not read anew; servers that report it differ in whether `counted`
        includes it. `only_new` is a count of the uncached part alone, which tells nothing of the whole.
        """
        if sent.tokens < LEAST_LEARNED_TOKENS or counted <= 0:
            return "unknown"
        total = counted + cached if cached is not None and cached > counted else counted
        with self._lock:
            known = self._learned.get(model, _Learned())
            verdict = _judged(known, sent, total, told=cached is not None)
            if verdict == "whole":
                known = _moved(known, total / sent.tokens)
                self._cuts.pop(model, None)
            elif verdict == "cut":
                times = self._cuts[model].times + 1 if model in self._cuts else 1
                self._cuts[model] = Cut(sent.tokens, total, times)
            self._learned[model] = replace(known, last_sent=sent.tokens, last_counted=total)
        return verdict

    def _correction(self, name: str) -> Correction:
        learned = self._learned.get(name)
        if learned is None or not learned.answers:
            return UNKNOWN
        return Correction(learned.factor, LEARNED_MARGIN if learned.answers >= LEARNED_AFTER else UNLEARNED_MARGIN)


def _judged(known: _Learned, sent: Sent, total: int, *, told: bool) -> Verdict:
    share = total / sent.tokens
    grew = sent.tokens > known.last_sent * (1 + 2 * SAME_COUNT)
    stuck = known.last_counted > 0 and grew and abs(total - known.last_counted) <= known.last_counted * SAME_COUNT
    shrank = total < sent.known_counted * CUT_BELOW
    if share >= LEAST_FACTOR and not shrank and not (stuck and share < known.factor * CUT_BELOW):
        return "whole"
    new_part = (sent.tokens - sent.known_tokens) * known.factor * NEW_PART_SLACK + NEW_PART_SLACK_TOKENS
    only_new = not told and sent.known_tokens > 0 and total <= new_part
    return "only_new" if only_new and not stuck else "cut"


def _moved(known: _Learned, seen: float) -> _Learned:
    seen = max(LEAST_FACTOR, min(MOST_FACTOR, seen))
    factor = known.factor + STEP * (seen - known.factor) if known.answers else seen
    return replace(known, factor=factor, answers=known.answers + 1)

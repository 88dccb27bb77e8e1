"""The lines of ranked passages, nearest to the question first: a passage is cut when its lines may be the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heapify, heappop, heappush

from retrievers.cut_passages import CutPassage
from retrievers.lines import LineGroup
from retrievers.types import Passage

# An archived passage never comes first where there is a live one, nor an older one before a newer that says the same.
ARCHIVED = 0.6
NEWEST = 0.05
# An answer often goes on in the line beside the nearest: it is lifted by this much of the way.
OF_NEIGHBOUR = 0.25

_UNCUT = -1


@dataclass(frozen=True)
class Candidate:
    """A passage that may answer; `similarity` is its cosine similarity to the question where one was measured.

    `cut` gives its lines and `score` the score of each group, which orders lines of one question only; none scores
    more than `best_possible`.
    """

    passage: Passage
    best_possible: float
    cut: Callable[[Passage], CutPassage]
    score: Callable[[Sequence[LineGroup]], Sequence[float]]
    similarity: float | None = None

    @cached_property
    def lines(self) -> CutPassage:
        """What `cut` gives."""
        return self.cut(self.passage)


def nearest_lines(candidates: Sequence[Candidate]) -> Iterator[tuple[int, int]]:
    """Each group of lines as `(number of the candidate, number of the group)`, best first; archived ones lose
    `ARCHIVED` and never stand above the best live one.
    """
    archived = [number for number, candidate in enumerate(candidates) if candidate.passage.archived]
    later = archived if len(archived) < len(candidates) else []
    waiting = [(-each.best_possible, number, _UNCUT) for number, each in enumerate(candidates) if number not in later]
    heapify(waiting)
    malus, most = 0.0, math.inf
    while waiting:
        score, number, group = heappop(waiting)
        if group == _UNCUT:
            for each, own in enumerate(candidates[number].score(candidates[number].lines.groups)):
                heappush(waiting, (-(min(own - malus, most) if number in later else own), number, each))
            continue
        yield number, group
        if not malus:
            malus, most = ARCHIVED, -score - NEWEST
            for number in later:
                heappush(waiting, (-min(candidates[number].best_possible - malus, most), number, _UNCUT))


def lifted(scores: Sequence[float]) -> list[float]:
    """The scores of neighbouring lines, each nearer to that of the better one beside it."""
    beside = [-math.inf, *scores, -math.inf]
    return [
        own + OF_NEIGHBOUR * max(0.0, before - own, after - own)
        for before, own, after in zip(beside, scores, beside[2:], strict=False)
    ]

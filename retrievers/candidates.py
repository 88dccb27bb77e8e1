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
    best_live = math.inf
    while waiting:
        score, number, group = heappop(waiting)
        if group == _UNCUT:
            for own_group, own in enumerate(candidates[number].score(candidates[number].lines.groups)):
                score = _archived(own, best_live) if number in later else own
                heappush(waiting, (-score, number, own_group))
            continue
        yield number, group
        if best_live == math.inf:
            best_live = -score
            for each in later:
                heappush(waiting, (-_archived(candidates[each].best_possible, best_live), each, _UNCUT))


def _archived(score: float, best_live: float) -> float:
    return min(score - ARCHIVED, best_live - NEWEST)


def lifted(scores: Sequence[float]) -> list[float]:
    """The scores of neighbouring lines, each nearer to that of the better one beside it."""
    beside = [-math.inf, *scores, -math.inf]
    return [
        own + OF_NEIGHBOUR * max(0.0, before - own, after - own)
        for before, own, after in zip(beside, scores, beside[2:], strict=False)
    ]

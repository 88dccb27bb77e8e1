"""The lines of ranked passages, nearest to the question first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from retrievers.cut_passages import CutPassage
from retrievers.types import Passage

# An archived passage never comes first where there is a live one, nor an older one before a newer that says the same.
ARCHIVED = 0.6
NEWEST = 0.05
# An answer often goes on in the line beside the nearest: it is lifted by this much of the way.
OF_NEIGHBOUR = 0.25


@dataclass(frozen=True)
class Candidate:
    """A passage that may answer; `similarity` is its cosine similarity to the question where one was measured.

    `cut` gives its lines and `score` the score of each group, which orders lines of one question only.
    """

    passage: Passage
    cut: Callable[[Passage], CutPassage]
    score: Callable[[CutPassage], Sequence[float]]
    similarity: float | None = None

    @cached_property
    def lines(self) -> CutPassage:
        """What `cut` gives."""
        return self.cut(self.passage)


def nearest_lines(candidates: Sequence[Candidate]) -> list[tuple[int, int]]:
    """Each group of lines as `(number of the candidate, number of the group)`, best first; archived ones lose
    `ARCHIVED` and never stand above the best live one.
    """
    scores = [candidate.score(candidate.lines) for candidate in candidates]
    archived = [candidate.passage.archived for candidate in candidates]
    if not all(archived):
        live = (score for own, is_archived in zip(scores, archived, strict=True) if not is_archived for score in own)
        most = max(live, default=math.inf) - NEWEST
        scores = [
            [min(score - ARCHIVED, most) for score in own] if is_archived else own
            for own, is_archived in zip(scores, archived, strict=True)
        ]
    order = [(-score, number, group) for number, own in enumerate(scores) for group, score in enumerate(own)]
    return [(number, group) for _, number, group in sorted(order)]


def lifted(scores: Sequence[float]) -> list[float]:
    """The scores of neighbouring lines, each nearer to that of the better one beside it."""
    beside = [-math.inf, *scores, -math.inf]
    return [
        own + OF_NEIGHBOUR * max(0.0, before - own, after - own)
        for before, own, after in zip(beside, scores, beside[2:], strict=False)
    ]

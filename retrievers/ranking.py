"""Which passages answer a question: words, vectors of passages and of their lines, and what a file is for.

The weights were fitted and the shape was chosen on questions about twenty public memory banks, and hold where the
weights are varied by a third; `docs/memory.md` has the figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from statistics import median

import numpy as np
from numpy.typing import NDArray

from retrievers.candidates import ARCHIVED, NEWEST, Candidate, lifted
from retrievers.corpus import Corpus
from retrievers.cut_passages import CutPassage, CutPassages
from retrievers.evidence import OF_COVERAGE, VectorEvidence, answerability
from retrievers.roles import role_id, role_of
from retrievers.types import Passage, Vectors
from retrievers.words import WordEvidence

CANDIDATES_BY_WORDS = 30
KEPT = 24

OF_PASSAGE = 0.7
OF_NEAREST_LINES = 1.0
OF_WORDS = 0.2
OF_ROLE = 0.3
# "What are we working on?" is nearer to what the file is for than to any line: such a file's opening tells.
OPENING = 0.6
OF_ITS_PASSAGE = 0.4


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates, best first; `evidence` is the question's `answerability`, and `trust` how far vectors told it."""

    candidates: tuple[Candidate, ...] = ()
    evidence: float = 0.0
    trust: float = 0.0


def considered(corpus: Corpus, words: WordEvidence, nearest: Mapping[str, float], wanted: int = KEPT) -> dict[str, int]:
    """The places in `corpus.chunks` of the passages worth a closer look, by content id, one for each content; more of
    them where more than usual are wanted.
    """
    most = max(CANDIDATES_BY_WORDS, wanted)
    scores = words.scores
    best = np.argpartition(-scores, most)[:most] if len(scores) > most else np.arange(len(scores))
    ids = {corpus.chunks[place].content_id for place in best[scores[best] > 0].tolist()}
    return {key: corpus.places[key] for key in (*nearest, *sorted(ids)) if key in corpus.places}


def rank(
    corpus: Corpus,
    words: WordEvidence,
    places: Mapping[str, int],
    vectors: VectorEvidence | None,
    cut: CutPassages,
    *,
    wanted: int = KEPT,
) -> Ranking:
    """The best of the passages at `places`, at most `KEPT` or `wanted`; by words alone where there are no vectors."""
    if not places:
        return Ranking()
    passages = [corpus.chunks[place] for place in places.values()]
    at = np.fromiter(places.values(), dtype=np.int64, count=len(places))
    coverage = words.coverage[at]
    scores = words.scores[at] / max(float(words.scores.max()), 1e-9)
    if vectors is None:
        scores = scores + OF_COVERAGE * coverage
    else:
        nearest, roles = _nearest_lines(passages, vectors), _roles(passages, vectors)
        near = OF_NEAREST_LINES * nearest + OF_PASSAGE * _similarities(passages, vectors)
        scores = OF_WORDS * scores + OF_COVERAGE * coverage + vectors.trust * near + OF_ROLE * roles
        opens = np.array([passage.start_line == 1 for passage in passages])
        scores += OPENING * (opens & (roles > nearest.max()))
    scores += NEWEST * _recency(passages)
    scores = _archived_below(scores, np.array([passage.archived for passage in passages]))
    best = np.argsort(-scores, kind="stable")[: max(KEPT, wanted)]
    found = tuple(_candidate(passages[place], float(scores[place]), words, vectors, cut) for place in best)
    trust = vectors.trust if vectors is not None else 0.0
    return Ranking(found, answerability(float(coverage.max()), vectors), trust)


def _archived_below(scores: Vectors, archived: NDArray[np.bool_]) -> Vectors:
    if archived.all() or not archived.any():
        return scores
    best_live = float(scores[~archived].max())
    return np.where(archived, np.minimum(scores - ARCHIVED, best_live - NEWEST), scores)


def _similarities(passages: Sequence[Passage], vectors: VectorEvidence) -> Vectors:
    """What the store did not return is at most as near as the last it did."""
    last = min(vectors.passages.values(), default=0.0)
    return np.array([vectors.passages.get(passage.content_id, last) for passage in passages], dtype=np.float32)


def _nearest_lines(passages: Sequence[Passage], vectors: VectorEvidence) -> Vectors:
    """The nearest group of each passage's lines; of one too new to have vectors, what is usual among the others."""
    known = {key: max(found) for key, found in vectors.lines.items() if found}
    usual = median(known.values()) if known else 0.0
    return np.array([known.get(passage.content_id, usual) for passage in passages], dtype=np.float32)


def _roles(passages: Sequence[Passage], vectors: VectorEvidence) -> Vectors:
    found = [vectors.roles.get(role_id(role), 0.0) if (role := role_of(p.file)) else 0.0 for p in passages]
    return np.array(found, dtype=np.float32)


def _recency(passages: Sequence[Passage]) -> Vectors:
    """0 for the oldest day to 1 for the newest."""
    days = [passage.day for passage in passages]
    order = {day: place for place, day in enumerate(sorted(set(days)))}
    return np.array([order[day] / max(1, len(order) - 1) for day in days], dtype=np.float32)


def _candidate(
    passage: Passage, score: float, words: WordEvidence, vectors: VectorEvidence | None, cut: CutPassages
) -> Candidate:
    found = vectors.lines.get(passage.content_id) if vectors is not None else None
    trust = vectors.trust if vectors is not None else 0.0
    similarities = found or ()
    # By words alone where there are no vectors as yet.
    of_words = OF_COVERAGE if found else 1.0

    def scores(lines: CutPassage) -> list[float]:
        near = similarities if len(similarities) == len(lines.groups) else repeat(0.0, len(lines.groups))
        of_passage, shares = OF_ITS_PASSAGE * score, words.shares(lines.plain, lines.ends)
        return lifted([of_passage + of_words * share + trust * each for share, each in zip(shares, near, strict=True)])

    similarity = vectors.passages.get(passage.content_id) if vectors is not None else None
    return Candidate(passage, cut.of, scores, similarity)

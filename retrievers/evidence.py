"""How likely a bank answers a question at all. What a question is worth in tokens follows from it (`packing`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import median

from retrievers.embeddings import MODEL_NAME

# The share of the question's words that one passage holds.
OF_COVERAGE = 0.5
# The nearest lines count by how far they stand out: in a bank that is all about the question's subject, and in a
# language that the embedder hardly knows, every line is near.
OF_BACKGROUND = 0.5
# Where vectors are missing or mean nothing, words have to tell alone.
WORDS_ALONE = 0.2
COVERAGE_ALONE = 0.75
# How far vectors count where none of the question's letters is of a script that the embedder reads.
UNREAD = 0.25

_LATIN_ONLY = frozenset({MODEL_NAME})
_LAST_LATIN = "\u024f"


@dataclass(frozen=True, slots=True)
class VectorEvidence:
    """What the vectors say: the cosine similarity to the question of the nearest passages, by content id, of the line
    groups of all passages considered, and of the roles of files, by role id. `trust` is how far all that counts.
    """

    passages: Mapping[str, float]
    lines: Mapping[str, Sequence[float]]
    roles: Mapping[str, float]
    trust: float = 1.0


def trust_in(embedder_name: str, question: str) -> float:
    """How far that embedder's similarities to `question` count: 1, or down to `UNREAD` the fewer letters it reads."""
    letters = [char for char in question if char.isalpha()]
    if embedder_name not in _LATIN_ONLY or not letters:
        return 1.0
    return UNREAD + (1 - UNREAD) * sum(char <= _LAST_LATIN for char in letters) / len(letters)


def answerability(coverage: float, vectors: VectorEvidence | None) -> float:
    """Below 0.4 a bank hardly answers, from 0.65 on it mostly does.

    Args:
        coverage: The largest share of the question's words that one passage holds, rare words weighing more.
        vectors: What the vectors say; None where there are none.
    """
    by_words = WORDS_ALONE + COVERAGE_ALONE * coverage
    similarities = sorted(chain.from_iterable(vectors.lines.values())) if vectors is not None else []
    if vectors is None or not similarities:
        return by_words + OF_COVERAGE * coverage
    by_vectors = similarities[-1] - OF_BACKGROUND * median(similarities)
    found = vectors.trust * by_vectors + (1 - vectors.trust) * by_words + OF_COVERAGE * coverage
    # "What are we working on?" names no subject, and is answered all the same.
    return max(found, *vectors.roles.values(), 0.0)

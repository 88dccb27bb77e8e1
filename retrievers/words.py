"""Ranking by words: BM25 over the terms of each passage, by the library bm25s."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrievers.emphasis import emphasis
from retrievers.terms import PREFIX_MARK, terms
from retrievers.types import Passage

K1 = 1.2
B = 0.75
# A word of so little weight (one that nearly every passage holds; of function words, one that half of them do) tells
# passages not apart, and takes the longest to add up.
LEAST_OF_HEAVIEST = 0.02

Scores = NDArray[np.float32]
Numbers = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class WordEvidence:
    """What the words of a question say of each passage, in their order.

    `scores` are BM25's; `coverage` is the share (0 to 1) of the question's weight in words that a passage holds, rare
    words weighing more. `weights` are the question's terms, as they stand in a text, with their share of it. Function
    words count little in each.
    """

    scores: Scores
    coverage: Scores
    weights: Mapping[str, float]

    def shares(self, plain: str, ends: Sequence[int]) -> list[float]:
        """About the coverage of each part of a text, folded, whose parts end at `ends`: words are met in longer ones
        too.
        """
        found = [0.0] * len(ends)
        for term, weight in self.weights.items():
            at = plain.find(term)
            while at >= 0:
                part = bisect_right(ends, at)
                found[part] += weight
                at = plain.find(term, ends[part])
        return found


class WordIndex:
    """BM25 over passages, in their order; immutable. A passage's file name and breadcrumb count as its words."""

    def __init__(
        self, size: int, vocabulary: Mapping[str, int], starts: Numbers, holders: Numbers, scores: Scores
    ) -> None:
        self._size = size
        self._vocabulary = vocabulary
        self._starts = starts
        self._holders = holders
        self._scores = scores

    @classmethod
    def of_passages(cls, passages: Sequence[Passage]) -> WordIndex:
        """Count the words."""
        vocabulary: dict[str, int] = {}
        ids = [
            [vocabulary.setdefault(term, len(vocabulary)) for term in terms(_indexed_text(passage))]
            for passage in passages
        ]
        if not vocabulary:
            empty = np.zeros(0, dtype=np.int32)
            return cls(len(ids), {}, empty, empty, np.zeros(0, dtype=np.float32))
        import bm25s  # noqa: PLC0415 - brings scipy along: half a second and 20 MB, of no use without a memory bank
        from bm25s.tokenization import Tokenized  # noqa: PLC0415

        bm25 = bm25s.BM25(k1=K1, b=B, method="lucene")
        bm25.index(Tokenized(ids=ids, vocab=vocabulary), show_progress=False)
        found = bm25.scores
        return cls(len(ids), vocabulary, found["indptr"], found["indices"], found["data"])

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> WordIndex:
        """What `arrays` gave. Raises `KeyError` or `ValueError` if it did not."""
        terms_in_order = arrays["vocabulary"].tobytes().decode("utf-8").split("\n")
        vocabulary = {term: number for number, term in enumerate(terms_in_order)} if arrays["holders"].size else {}
        if len(arrays["starts"]) < len(vocabulary):
            raise ValueError("Fewer terms were counted than are named.")
        return cls(int(arrays["size"]), vocabulary, arrays["starts"], arrays["holders"], arrays["scores"])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it, for `of_arrays`."""
        vocabulary = np.frombuffer("\n".join(self._vocabulary).encode("utf-8"), dtype=np.uint8)
        return {
            "size": np.array(self._size),
            "vocabulary": vocabulary,
            "starts": self._starts,
            "holders": self._holders,
            "scores": self._scores,
        }

    def ask(self, question: str) -> WordEvidence:
        """All zeros where no word of the question occurs."""
        places = {term: self._place(term) for term in terms(question)}
        emphases = {term: emphasis(term) for term in places}
        told = {term: emphases[term] * self._idf(place.stop - place.start) for term, place in places.items()}
        known = {term: place for term, place in places.items() if place.stop}
        if not known:
            nothing = np.zeros(self._size, dtype=np.float32)
            return WordEvidence(nothing, nothing, {})
        least = LEAST_OF_HEAVIEST * max(told[term] for term in known)
        told = {term: weight for term, weight in told.items() if weight >= least}
        known = {term: place for term, place in known.items() if term in told}
        total = sum(told.values())
        holders = np.concatenate([self._holders[place] for place in known.values()], dtype=np.intp)
        holding = [place.stop - place.start for place in known.values()]
        shares = np.repeat([told[term] / total for term in known], holding)
        coverage = np.bincount(holders, shares, self._size).astype(np.float32)
        found = np.concatenate([emphases[term] * self._scores[place] for term, place in known.items()])
        scores = np.bincount(holders, found, self._size).astype(np.float32)
        weights: dict[str, float] = {}
        for term, weight in told.items():
            written = term.rstrip(PREFIX_MARK)
            weights[written] = weights.get(written, 0.0) + weight / total
        return WordEvidence(scores, coverage, weights)

    def _place(self, term: str) -> slice:
        """Where in `holders` and `scores` the term's passages stand."""
        number = self._vocabulary.get(term)
        return slice(0, 0) if number is None else slice(int(self._starts[number]), int(self._starts[number + 1]))

    def _idf(self, holders: int) -> float:
        return math.log(1 + (self._size - holders + 0.5) / (holders + 0.5))


def _indexed_text(passage: Passage) -> str:
    return f"{PurePosixPath(passage.file).stem}\n{passage.embedded}"

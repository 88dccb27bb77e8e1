"""Vectors of texts that are longer than a model reads: of their windows, averaged by length. Nothing is cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from retrievers.types import Embedder


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a text that is read whole, and of how many tokens of the model's it is."""

    text: str
    tokens: int


@runtime_checkable
class ReadsInWindows(Protocol):
    """An embedder that knows how far it reads."""

    def windows(self, texts: list[str]) -> list[list[Window]]:
        """Each text's windows, at least one; they make up the text, but for blanks between them."""
        ...


def embed_whole(embedder: Embedder, texts: list[str]) -> list[list[float]]:
    """`(n, dimension)`, normalised; blocks, and raises, as `embed_documents`.

    An embedder that does not know how far it reads is given the texts as they are.
    """
    if not isinstance(embedder, ReadsInWindows):
        return embedder.embed_documents(texts)
    windows = embedder.windows(texts)
    vectors = np.asarray(embedder.embed_documents([each.text for of_text in windows for each in of_text]))
    rows: list[list[float]] = np.stack(list(_averages(vectors, windows))).tolist()
    return rows


def _averages(vectors: NDArray[np.float64], windows: list[list[Window]]) -> Iterator[NDArray[np.float64]]:
    begin = 0
    for of_text in windows:
        end = begin + len(of_text)
        average = np.average(vectors[begin:end], axis=0, weights=[each.tokens for each in of_text])
        yield average / np.linalg.norm(average)
        begin = end

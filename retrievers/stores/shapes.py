"""What every store checks of ids and vectors before it takes them."""

from __future__ import annotations

from collections.abc import Sequence

from config.errors import IndexMismatch
from retrievers.types import Vectors


def rows_by_id(ids: Sequence[str], vectors: Vectors, dimension: int) -> dict[str, int]:
    """Content id to its row, the last one where an id comes twice. Raises `IndexMismatch` on another shape."""
    if vectors.shape != (len(ids), dimension):
        raise IndexMismatch(f"Vectors of shape {vectors.shape} do not fit {len(ids)} ids x {dimension}.")
    return {content_id: row for row, content_id in enumerate(ids)}


def check_query(vector: Vectors, dimension: int) -> None:
    """Raises `IndexMismatch` on another shape than `(dimension,)`."""
    if vector.shape != (dimension,):
        raise IndexMismatch(f"A query of shape {vector.shape} does not fit an index of dimension {dimension}.")


def as_cosine(score: float) -> float:
    """The score within [-1, 1], which rounding can leave by a hair."""
    return max(-1.0, min(1.0, score))

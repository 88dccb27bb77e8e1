"""What weighed most in a classification, in a few words and without a person's own text at length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chains.concepts import CONCEPTS
from chains.features import FOLLOWS, SHAPE, Block
from config.schema import ROLES

MAX_EVIDENCE = 4
MAX_TERMS = 3
_LEAST_SHARE = 0.1
_BLOCK_NAMES: Mapping[Block, str] = {
    "words": "words",
    "letters": "parts of words",
    "names": "names",
    "pasted": "what was pasted",
    "before": "the request before",
}
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Contributions:
    """What each term, number and the meaning added to each role's score (the last axis); of the words, also which."""

    by_term: Mapping[Block, tuple[Sequence[str], Floats]]
    dense: Floats
    meaning: Floats | None
    bias: Floats

    @property
    def knows_words(self) -> bool:
        """Whether any word was seen in training or is of a known concept; parts of words are not enough."""
        concepts = self.dense[len(SHAPE) : len(SHAPE) + len(CONCEPTS)]
        return bool(concepts.any()) or not self.by_term.keys() <= {"letters", "before"}

    def total(self) -> Floats:
        """The roles' scores."""
        scores: Floats = self.bias + self.dense.sum(axis=0)
        for _, values in self.by_term.values():
            scores = scores + values.sum(axis=0)
        return scores if self.meaning is None else scores + self.meaning


def evidence_of(parts: Contributions, role: int) -> tuple[str, ...]:
    """What spoke most for a role against the other two, strongest first."""
    dense = _margin(parts.dense, role)
    shape, concepts, follows = np.split(dense, [len(SHAPE), len(SHAPE) + len(CONCEPTS)])
    found: list[tuple[float, str]] = [
        (float(shape.sum()), f"shape: {SHAPE[int(shape.argmax())]}"),
        (float(concepts.sum()), f"speaks of {CONCEPTS[int(concepts.argmax())]}"),
    ]
    if parts.dense[-len(FOLLOWS) :].any():
        found.append((float(follows.sum()), f"follows {_followed(parts)}"))
    if parts.meaning is not None:
        found.append((float(_margin(parts.meaning[None, :], role)[0]), "meaning"))
    for block, (terms, values) in parts.by_term.items():
        margins = _margin(values, role)
        quoted = _quoted(terms, margins) if block == "words" else ""
        found.append((float(margins.sum()), f"{_BLOCK_NAMES[block]}{quoted}"))
    for_it = sorted((item for item in found if item[0] > 0), reverse=True)
    least = _LEAST_SHARE * sum(weight for weight, _ in for_it)
    return tuple(text for weight, text in for_it[:MAX_EVIDENCE] if weight >= least)


def _margin(values: Floats, role: int) -> Floats:
    others = (values.sum(axis=1) - values[:, role]) / (len(ROLES) - 1)
    margin: Floats = values[:, role] - others
    return margin


def _followed(parts: Contributions) -> str:
    after = np.abs(parts.dense[-len(FOLLOWS) :]).sum(axis=1)
    return ROLES[int(after.argmax()) % len(ROLES)]


def _quoted(terms: Sequence[str], margins: Floats) -> str:
    """The strongest terms, which are of the vocabulary and so nobody's secret; none that lies within another."""
    chosen: list[str] = []
    for place in np.argsort(-margins, kind="stable"):
        term = terms[place]
        if margins[place] <= 0 or len(chosen) == MAX_TERMS:
            break
        if not any(term in other or other in term for other in chosen):
            chosen.append(term)
    return " " + ", ".join(f"'{term}'" for term in chosen) if chosen else ""

"""Which role a request is for, judged by a small linear model trained when this was built (see `training/`)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chains.evidence import Contributions, evidence_of
from chains.features import Block, Features, Previous, features_of
from config.schema import ROLES, Role

Floats = npt.NDArray[np.floating[Any]]
Variant = Literal["with_vector", "without_vector"]
VARIANTS: tuple[Variant, ...] = ("with_vector", "without_vector")
WEIGHTS_FILE = "classifier.npz"
# Below it, cross validation finds about half of the answers wrong: who can ask a model had better do so.
ABSTAINS_BELOW = 0.5
_DIMENSION = 384


@dataclass(frozen=True, slots=True)
class Classified:
    """How likely each role is, what spoke for the likeliest (never a person's own text at length), and whether the
    classifier would rather not say.
    """

    probabilities: Mapping[Role, float]
    evidence: tuple[str, ...]
    abstains: bool

    @property
    def role(self) -> Role:
        """The likeliest role."""
        return max(ROLES, key=lambda role: self.probabilities[role])

    @property
    def confidence(self) -> float:
        """How likely it is."""
        return self.probabilities[self.role]


@dataclass(frozen=True, slots=True)
class BlockWeights:
    """A block's vocabulary: each term's row, how rare the terms are, and what each says for each role."""

    rows: Mapping[str, int]
    rarity: Floats
    weights: Mapping[Variant, Floats]


@dataclass(frozen=True, slots=True)
class VariantWeights:
    """What is not words; `vector` is None in the variant without."""

    dense: Floats
    bias: Floats
    vector: Floats | None
    temperature: float


@dataclass(frozen=True, slots=True)
class Classifier:
    """The trained weights; `trained_on` names the rows and the features they come from. Thread-safe."""

    blocks: Mapping[Block, BlockWeights]
    variants: Mapping[Variant, VariantWeights]
    trained_on: str

    @classmethod
    def load(cls) -> Classifier:
        """The packaged weights, read once."""
        return _packaged()

    @classmethod
    def from_bytes(cls, data: bytes) -> Classifier:
        """From what `training.store` wrote. Raises `ValueError` where that was for other roles."""
        with np.load(BytesIO(data), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        about = json.loads(arrays["about"].tobytes())
        blocks: dict[Block, BlockWeights] = {}
        for block in about["blocks"]:
            terms = arrays[f"{block}_terms"].tobytes().decode().split("\n")
            blocks[block] = BlockWeights(
                rows={term: row for row, term in enumerate(terms)},
                rarity=arrays[f"{block}_rarity"].astype(np.float32),
                weights={variant: arrays[f"{variant}_{block}"].astype(np.float32) for variant in VARIANTS},
            )
        variants: dict[Variant, VariantWeights] = {
            variant: VariantWeights(
                dense=arrays[f"{variant}_dense"],
                bias=arrays[f"{variant}_bias"],
                vector=arrays.get(f"{variant}_vector"),
                temperature=about["temperatures"][variant],
            )
            for variant in VARIANTS
        }
        if any(len(variant.bias) != len(ROLES) for variant in variants.values()):
            raise ValueError("the weights were trained for other roles: run `make train`")
        return cls(blocks, variants, about["trained_on"])

    def classify(
        self, text: str, *, vector: Sequence[float] | None = None, previous: Previous | None = None
    ) -> Classified:
        """Judge a person's words; `vector` is their all-MiniLM-L6-v2 embedding where there is one. Never fails."""
        features = features_of(text, previous)
        if features.is_empty:
            return Classified(dict.fromkeys(ROLES, 1 / len(ROLES)), (), abstains=True)
        meaning = _checked(vector)
        parts = self._contributions(features, meaning)
        logits = parts.total() / self.variants[_variant(meaning)].temperature
        odds = np.exp(logits - logits.max())
        probabilities = odds / odds.sum()
        return Classified(
            probabilities=MappingProxyType(dict(zip(ROLES, map(float, probabilities), strict=True))),
            evidence=evidence_of(parts, int(probabilities.argmax())),
            abstains=bool(probabilities.max() < ABSTAINS_BELOW) or not (parts.knows_words or meaning is not None),
        )

    def _contributions(self, features: Features, meaning: Floats | None) -> Contributions:
        variant = _variant(meaning)
        own = self.variants[variant]
        by_term: dict[Block, tuple[list[str], Floats]] = {}
        for block, known in self.blocks.items():
            found, values = weighed(features.terms[block], known.rows, known.rarity)
            if found:
                named = {known.rows.get(term): term for term in features.terms[block]} if block == "words" else {}
                by_term[block] = (
                    [named.get(row, "") for row in found] if named else [],
                    values[:, None] * known.weights[variant][found],
                )
        return Contributions(
            by_term=by_term,
            dense=np.asarray(features.dense)[:, None] * own.dense,
            meaning=None if meaning is None or own.vector is None else meaning @ own.vector,
            bias=own.bias,
        )


def weighed(terms: Sequence[str], rows: Mapping[str, int], rarity: Floats) -> tuple[list[int], Floats]:
    """The known terms' rows and values: rarer and repeated terms count more; of length 1 in all."""
    counts = Counter(map(rows.get, terms))
    counts.pop(None, None)
    found = [row for row in counts if row is not None]
    repeats = np.fromiter(counts.values(), dtype=np.float64, count=len(found))
    values = (1 + np.log(repeats)) * rarity[found or slice(0)]
    length = float(np.linalg.norm(values))
    return found, values / length if length else values


def _variant(meaning: Floats | None) -> Variant:
    return "without_vector" if meaning is None else "with_vector"


def _checked(vector: Sequence[float] | None) -> Floats | None:
    """The vector as an array; None where it cannot be one of the embedder's."""
    if vector is None:
        return None
    array = np.asarray(vector, dtype=np.float64)
    return array if array.shape == (_DIMENSION,) and bool(np.isfinite(array).all()) else None


@lru_cache(maxsize=1)
def _packaged() -> Classifier:
    return Classifier.from_bytes(files("chains").joinpath(WEIGHTS_FILE).read_bytes())

"""Fits the classifier's weights with scikit-learn over the same features, weighed by the same code, as answers use."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression

from chains.classifier import VARIANTS, BlockWeights, Classifier, Variant, VariantWeights, weighed
from chains.concepts import CONCEPTS
from chains.features import FOLLOWS, SHAPE, Block, Features, features_of
from config.schema import ROLES
from training.rows import Row

Floats = npt.NDArray[np.floating[Any]]
# Chosen by cross validation over the files of `requests/`: how strongly each kind of evidence counts.
BLOCK_SCALES: Mapping[Block, float] = {"words": 1.2, "letters": 1.0, "names": 0.4, "pasted": 0.3, "before": 0.5}
LEAST_ROWS: Mapping[Block, int] = {"words": 2, "letters": 3, "names": 2, "pasted": 3, "before": 2}
SHAPE_SCALE, CONCEPT_SCALE, FOLLOW_SCALE, VECTOR_SCALE = 0.3, 1.0, 1.0, 0.7
INVERSE_REGULARIZATION = 8.0
_DENSE_SCALES = np.array([SHAPE_SCALE] * len(SHAPE) + [CONCEPT_SCALE] * len(CONCEPTS) + [FOLLOW_SCALE] * len(FOLLOWS))


@dataclass(frozen=True, slots=True)
class Samples:
    """Rows made ready: features, embeddings and the labels as places in `ROLES`."""

    rows: Sequence[Row]
    features: Sequence[Features]
    vectors: Floats
    labels: npt.NDArray[np.intp]

    def only(self, chosen: npt.NDArray[np.bool_]) -> Samples:
        """Some of them."""
        places = [place for place, is_chosen in enumerate(chosen) if is_chosen]
        rows, features = [self.rows[i] for i in places], [self.features[i] for i in places]
        return Samples(rows, features, self.vectors[places], self.labels[places])


def samples_of(rows: Sequence[Row], vectors: Floats) -> Samples:
    """With `vectors` the embeddings of the rows' texts."""
    labels = np.array([ROLES.index(row.label) for row in rows], dtype=np.intp)
    return Samples(rows, [features_of(row.text, row.previous) for row in rows], vectors, labels)


def fit(samples: Samples, temperatures: Mapping[Variant, float], trained_on: str = "") -> Classifier:
    """The classifier with and without embeddings; rounded as it is stored."""
    vocabularies = {block: _vocabulary(block, samples) for block in BLOCK_SCALES}
    sparse = [_matrix(block, samples, *vocabularies[block]) for block in BLOCK_SCALES]
    dense = np.array([features.dense for features in samples.features]) * _DENSE_SCALES
    centre = samples.vectors.mean(axis=0)
    weights: dict[Variant, dict[Block, Floats]] = {}
    variants: dict[Variant, VariantWeights] = {}
    for variant in VARIANTS:
        columns = [*sparse, csr_matrix(dense)]
        if variant == "with_vector":
            columns.append(csr_matrix((samples.vectors - centre) * VECTOR_SCALE))
        model = LogisticRegression(C=INVERSE_REGULARIZATION, max_iter=2_000).fit(
            hstack(columns).tocsr(), samples.labels
        )
        ends = np.cumsum([matrix.shape[1] for matrix in columns])
        parts = np.split(model.coef_.T, ends[:-1])
        weights[variant] = {
            block: _rounded(part * BLOCK_SCALES[block]) for block, part in zip(BLOCK_SCALES, parts, strict=False)
        }
        vector = _rounded(parts[-1] * VECTOR_SCALE) if variant == "with_vector" else None
        variants[variant] = VariantWeights(
            dense=_rounded(parts[len(BLOCK_SCALES)] * _DENSE_SCALES[:, None]),
            bias=model.intercept_ - (0 if vector is None else centre @ vector),
            vector=vector,
            temperature=temperatures[variant],
        )
    blocks = {
        block: BlockWeights(*vocabularies[block], {variant: weights[variant][block] for variant in VARIANTS})
        for block in BLOCK_SCALES
    }
    return Classifier(blocks, variants, trained_on)


def temperature_of(scores: Floats, labels: npt.NDArray[np.intp]) -> float:
    """What the scores of rows not trained on must be divided by for their probabilities to be true."""

    def loss(temperature: float) -> float:
        scaled = scores / temperature
        highest = scaled.max(axis=1, keepdims=True)
        log_sums = np.log(np.exp(scaled - highest).sum(axis=1)) + highest[:, 0]
        return float((log_sums - scaled[np.arange(len(labels)), labels]).mean())

    return round(float(minimize_scalar(loss, bounds=(0.2, 5), method="bounded").x), 3)


def _vocabulary(block: Block, samples: Samples) -> tuple[dict[str, int], Floats]:
    counts = Counter(term for features in samples.features for term in set(features.terms[block]))
    terms = sorted(term for term, count in counts.items() if count >= LEAST_ROWS[block])
    rarity = np.array([math.log((1 + len(samples.rows)) / (1 + counts[term])) + 1 for term in terms])
    return {term: row for row, term in enumerate(terms)}, _rounded(rarity)


def _matrix(block: Block, samples: Samples, rows: Mapping[str, int], rarity: Floats) -> csr_matrix:
    columns: list[int] = []
    values: list[float] = []
    starts = [0]
    for features in samples.features:
        found, weights = weighed(features.terms[block], rows, rarity)
        columns += found
        values += weights.tolist()
        starts.append(len(columns))
    scaled = np.array(values) * BLOCK_SCALES[block]
    return csr_matrix((scaled, columns, starts), shape=(len(samples.rows), len(rows)))


def _rounded(values: Floats) -> Floats:
    return np.asarray(values).astype(np.float16).astype(np.float32)

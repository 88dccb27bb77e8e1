"""Train the classifier: `python -m training.train` (or `make train`), some minutes on two cores.

Reads `training/requests/`, prints what cross validation measures as one JSON object (each file's rows judged by weights
that came from the other files), then fits on all rows and writes `chains/classifier.npz`.

`--worst N` also prints the N rows that fit their label least, to look for mistakes in the data.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chains import classifier as packaged
from chains.classifier import VARIANTS, Classified, Classifier, Variant
from chains.features import ends_of
from config.schema import ROLES, Role
from retrievers.embeddings import LocalEmbedder
from training.fit import Floats, Samples, fit, samples_of, temperature_of
from training.measure import accuracy, accuracy_by, calibration_error, macro_f1
from training.rows import Row, fingerprint, read_rows
from training.store import to_bytes

WRITTEN = Path(packaged.__file__).with_name(packaged.WEIGHTS_FILE)
_UNSCALED: Mapping[Variant, float] = dict.fromkeys(VARIANTS, 1.0)


@dataclass(frozen=True, slots=True)
class Held:
    """Answers to rows that were not trained on."""

    answers: Sequence[Classified]
    scores: Floats


def main() -> None:
    """Train, measure and write."""
    parser = argparse.ArgumentParser(description="Train the classifier of requests.")
    parser.add_argument("--worst", type=int, default=0)
    asked = parser.parse_args()
    rows = read_rows()
    embedder = LocalEmbedder()
    # As the service embeds what a person says, which is not to the last digit as it embeds passages.
    samples = samples_of(rows, np.array([embedder.embed_query(ends_of(row.text)) for row in rows]))
    report: dict[str, Any] = {"rows": len(rows)}
    temperatures: dict[Variant, float] = {}
    scores = _held_out_scores(samples)
    for variant in VARIANTS:
        temperatures[variant] = temperature_of(scores[variant], samples.labels)
        report[variant] = _figures(rows, _answers(scores[variant] / temperatures[variant]), temperatures[variant])
    _print_worst(rows, _answers(scores["with_vector"]), asked.worst)
    WRITTEN.write_bytes(to_bytes(fit(samples, temperatures, fingerprint())))
    print(json.dumps({**report, "bytes": WRITTEN.stat().st_size}, ensure_ascii=False))


def _held_out_scores(samples: Samples) -> dict[Variant, Floats]:
    """Each row's scores by weights fitted without its file."""
    sources = np.array([row.source for row in samples.rows])
    scores: dict[Variant, Floats] = {variant: np.zeros((len(sources), len(ROLES))) for variant in VARIANTS}
    folds = [sources == source for source in sorted(set(sources))]
    with ProcessPoolExecutor(max_workers=min(len(folds), os.cpu_count() or 1)) as pool:
        for held, found in zip(folds, pool.map(_fold, [samples] * len(folds), folds), strict=True):
            for variant in VARIANTS:
                scores[variant][held] = found[variant]
    return scores


def _fold(samples: Samples, held: npt.NDArray[np.bool_]) -> dict[Variant, Floats]:
    fitted = fit(samples.only(~held), _UNSCALED)
    return {variant: _scores(fitted, samples.only(held), variant) for variant in VARIANTS}


def _scores(fitted: Classifier, samples: Samples, variant: Variant) -> Floats:
    answers = (
        fitted.classify(row.text, vector=vector if variant == "with_vector" else None, previous=row.previous)
        for row, vector in zip(samples.rows, samples.vectors.tolist(), strict=True)
    )
    return np.log([[max(answer.probabilities[role], 1e-12) for role in ROLES] for answer in answers])


def _answers(scores: Floats) -> list[Classified]:
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    return [
        Classified(dict(zip(ROLES, row, strict=True)), (), abstains=max(row) < packaged.ABSTAINS_BELOW)
        for row in probabilities.tolist()
    ]


def _figures(rows: Sequence[Row], answers: Sequence[Classified], temperature: float) -> dict[str, Any]:
    labels: list[Role] = [row.label for row in rows]
    roles: list[Role] = [answer.role for answer in answers]
    abstained = [i for i, answer in enumerate(answers) if answer.abstains]
    return {
        "accuracy": accuracy(labels, roles),
        "macro_f1": macro_f1(labels, roles),
        "ece": calibration_error(labels, answers),
        "temperature": temperature,
        "abstained": round(len(abstained) / len(rows), 4),
        "accuracy_of_abstained": accuracy([labels[i] for i in abstained], [roles[i] for i in abstained]),
        "by_file": accuracy_by([row.source for row in rows], labels, roles),
        "by_difficulty": accuracy_by([row.difficulty for row in rows], labels, roles),
        "by_lang": accuracy_by([row.lang for row in rows], labels, roles),
        "follow_ups": accuracy_by([row.previous is not None for row in rows], labels, roles)["True"],
    }


def _print_worst(rows: Sequence[Row], answers: Sequence[Classified], number: int) -> None:
    pairs = sorted(zip(rows, answers, strict=True), key=lambda pair: pair[1].probabilities[pair[0].label])
    for row, answer in pairs[:number]:
        text = replace(row, text=row.text[:300])
        print(f"{answer.probabilities[row.label]:.4f} {answer.role} {text}", file=sys.stderr)


if __name__ == "__main__":
    main()

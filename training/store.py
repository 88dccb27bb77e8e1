"""Writes a classifier as `chains.classifier` reads it: arrays and JSON, nothing that could run."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np

from chains.classifier import VARIANTS, Classifier


def to_bytes(classifier: Classifier) -> bytes:
    """The same bytes for the same weights."""
    about = {
        "blocks": list(classifier.blocks),
        "temperatures": {variant: classifier.variants[variant].temperature for variant in VARIANTS},
        "trained_on": classifier.trained_on,
    }
    arrays = {"about": np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)}
    for block, known in classifier.blocks.items():
        arrays[f"{block}_terms"] = np.frombuffer("\n".join(known.rows).encode(), dtype=np.uint8)
        arrays[f"{block}_rarity"] = known.rarity.astype(np.float16)
        for variant in VARIANTS:
            arrays[f"{variant}_{block}"] = known.weights[variant].astype(np.float16)
    for variant in VARIANTS:
        own = classifier.variants[variant]
        arrays[f"{variant}_dense"] = own.dense.astype(np.float32)
        arrays[f"{variant}_bias"] = own.bias.astype(np.float64)
        if own.vector is not None:
            arrays[f"{variant}_vector"] = own.vector.astype(np.float32)
    file = BytesIO()
    # np.savez_compressed stores no times, so that nothing but the weights decides the bytes.
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()

"""The labelled requests that the classifier is trained on, and what makes a row valid."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chains.features import VERSION, Previous
from config.schema import ROLES, Role

REQUESTS = Path(__file__).parent / "requests"
DIFFICULTIES = ("easy", "medium", "hard")
_NEEDED = {"text", "label", "difficulty", "lang", "why"}
_FOLLOW_UP = {"prev_label", "prev_text"}


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled request; `source` is the file it stands in."""

    text: str
    label: Role
    difficulty: str
    lang: str
    previous: Previous | None
    source: str


def read_rows(folder: Path = REQUESTS) -> list[Row]:
    """All rows, by file name and line.

    Raises:
        ValueError: a row that is not as `training/README.md` says.
    """
    return [row for path in _files(folder) for row in _read(path)]


def fingerprint(folder: Path = REQUESTS) -> str:
    """Names the rows and the definition of the features; written beside the weights that came from them."""
    digest = hashlib.sha256(f"features {VERSION}".encode())
    for path in _files(folder):
        digest.update(path.name.encode())
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def problems(fields: Mapping[str, Any]) -> list[str]:
    """What is wrong with a row's fields."""
    found = [f"{name} is missing" for name in sorted(_NEEDED - fields.keys())]
    found += [f"{name} is unknown" for name in sorted(fields.keys() - _NEEDED - _FOLLOW_UP)]
    found += [f"{name} is not text" for name, value in fields.items() if not (isinstance(value, str) and value.strip())]
    found += [f"{name} is no role" for name in ("label", "prev_label") if fields.get(name, ROLES[0]) not in ROLES]
    if fields.get("difficulty") not in DIFFICULTIES:
        found.append("difficulty is none of easy, medium, hard")
    if len(_FOLLOW_UP & fields.keys()) == 1:
        found.append("prev_label and prev_text go together")
    return found


def _files(folder: Path) -> Sequence[Path]:
    return sorted(folder.glob("*.jsonl"))


def _read(path: Path) -> list[Row]:
    rows: list[Row] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        fields = json.loads(line)
        if wrong := problems(fields):
            raise ValueError(f"{path.name}:{number}: {'; '.join(wrong)}")
        previous = Previous(fields["prev_label"], fields["prev_text"]) if "prev_label" in fields else None
        rows.append(
            Row(fields["text"], fields["label"], fields["difficulty"], fields["lang"], previous, source=path.stem)
        )
    return rows

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from config.schema import ROLES
from training.rows import REQUESTS, fingerprint, problems, read_rows

GOOD = {"text": "add a test", "label": "implementation", "difficulty": "easy", "lang": "en", "why": "tests asked for"}


def test_every_row_is_valid_and_every_role_well_covered() -> None:
    rows = read_rows()
    by_file = Counter((row.source, row.label) for row in rows)
    assert all(by_file[source, role] >= 100 for source in {row.source for row in rows} for role in ROLES)


def test_no_text_stands_in_the_files_twice_unless_it_follows_something_else() -> None:
    counts = Counter((row.text.strip().lower(), row.previous and row.previous.text.lower()) for row in read_rows())
    assert [text for text, count in counts.items() if count > 1] == []


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"text": " "}, "text is not text"),
        ({"label": "coder"}, "label is no role"),
        ({"difficulty": "odd"}, "difficulty is none of easy, medium, hard"),
        ({"author": "x"}, "author is unknown"),
        ({"prev_label": "implementation"}, "prev_label and prev_text go together"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, str], wrong: str) -> None:
    assert problems(GOOD) == []
    assert wrong in problems({**GOOD, **change})
    assert problems({}) != []


def test_a_bad_row_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(GOOD)}\n{json.dumps({**GOOD, 'label': 'x'})}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.jsonl:2: label is no role"):
        read_rows(tmp_path)


def test_the_fingerprint_changes_with_a_row_and_not_with_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"one\ntwo\n")
    before = fingerprint(tmp_path)
    path.write_bytes(b"one\r\ntwo\r\n")
    assert fingerprint(tmp_path) == before
    path.write_bytes(b"one\nthree\n")
    assert fingerprint(tmp_path) != before
    assert REQUESTS.is_dir()

"""The vectors of lines on disk: found, replaced, and thrown away when they are not ours."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest

from config.errors import IndexMismatch
from retrievers.line_vectors import FILE, LineVectors
from retrievers.types import Vectors

DIMENSION = 8


def unit(*hot: int) -> Vectors:
    rows = np.zeros((len(hot), DIMENSION), dtype=np.float32)
    rows[range(len(hot)), hot] = 1
    return rows


@pytest.fixture
def lines(tmp_path: Path) -> LineVectors:
    return LineVectors(tmp_path, "words", DIMENSION)


def test_each_line_is_compared(lines: LineVectors) -> None:
    lines.put({"one": unit(0, 1, 2), "two": unit(3), "three": unit(1, 4)})
    query = np.zeros(DIMENSION, dtype=np.float32)
    query[1], query[3] = 0.5, 0.25
    found = lines.similarities(query, ["one", "two", "gone"])
    assert {key: scores.tolist() for key, scores in found.items()} == {"one": [0, 0.5, 0], "two": [0.25]}


def test_many_passages_are_read_in_one_go(lines: LineVectors) -> None:
    lines.put({f"p{number}": unit(number % DIMENSION) for number in range(1_300)})
    found = lines.similarities(unit(3)[0], [f"p{number}" for number in range(1_300)])
    assert len(found) == 1_300
    assert sum(scores[0] == 1 for scores in found.values()) == len(range(3, 1_300, DIMENSION))


def test_they_are_there_again_after_a_restart(tmp_path: Path, lines: LineVectors) -> None:
    lines.put({"one": unit(0), "two": unit(1)})
    lines.put({"one": unit(5)})
    lines.remove(["two", "unknown"])
    lines.close()
    again = LineVectors(tmp_path, "words", DIMENSION)
    assert again.ids() == {"one"}
    assert again.similarities(unit(5)[0], ["one"])["one"].tolist() == [1]
    again.close()


@pytest.mark.parametrize(("name", "dimension"), [("other", DIMENSION), ("words", 16)])
def test_those_of_another_embedder_are_dropped(tmp_path: Path, lines: LineVectors, name: str, dimension: int) -> None:
    lines.put({"one": unit(0)})
    lines.close()
    other = LineVectors(tmp_path, name, dimension)
    assert other.ids() == frozenset()
    other.close()


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5_000])
def test_a_damaged_file_is_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    lines = LineVectors(tmp_path, "words", DIMENSION)
    lines.put({"one": unit(0)})
    assert lines.ids() == {"one"}
    lines.close()


def test_a_row_of_odd_length_is_passed_over(tmp_path: Path, lines: LineVectors) -> None:
    lines.put({"one": unit(0), "two": unit(0)})
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("UPDATE lines SET vectors = x'00ff00' WHERE content_id = 'one'")
    other.close()
    assert list(lines.similarities(unit(0)[0], ["one", "two"])) == ["two"]


def test_where_nothing_can_be_written_they_are_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    lines = LineVectors(tmp_path / "file" / "below", "words", DIMENSION)
    lines.put({"one": unit(0)})
    assert lines.ids() == {"one"}
    lines.close()


def test_a_closed_file_is_an_error_of_ours(lines: LineVectors) -> None:
    lines.close()
    with pytest.raises(IndexMismatch):
        lines.similarities(unit(0)[0], ["one"])
    with pytest.raises(IndexMismatch):
        lines.put({"one": unit(0)})


def test_two_services_write_at_once(tmp_path: Path) -> None:
    both = [LineVectors(tmp_path, "words", DIMENSION) for _ in range(2)]

    def write(lines: LineVectors, prefix: str) -> None:
        for number in range(50):
            lines.put({f"{prefix}{number}": unit(0)})

    threads = [threading.Thread(target=write, args=(lines, f"s{n}-")) for n, lines in enumerate(both)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(both[0].ids()) == 100
    for lines in both:
        lines.close()

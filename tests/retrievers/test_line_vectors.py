"""The vectors of lines on disk: found, replaced, and thrown away when they are not ours."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from config.errors import IndexMismatch
from retrievers.cache_file import UNUSED_S
from retrievers.line_vectors import LineVectors, _widened, lines_file
from retrievers.stores.locks import taken
from retrievers.types import Vectors
from tests.retrievers.memory_support import WAYS_TO_DAMAGE

DIMENSION = 8
FILE = lines_file("words", DIMENSION)


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
    assert found == {"one": [0, 0.5, 0], "two": [0.25]}


def test_every_half_is_read_as_numpy_reads_it() -> None:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = halves[np.isfinite(halves)]
    assert np.array_equal(_widened(finite.tobytes()), finite.astype(np.float32))


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
    assert again.similarities(unit(5)[0], ["one"])["one"] == [1]
    again.close()


@pytest.mark.parametrize(("name", "dimension"), [("other", DIMENSION), ("words", 16)])
def test_another_embedder_has_its_own(tmp_path: Path, lines: LineVectors, name: str, dimension: int) -> None:
    lines.put({"one": unit(0)})
    other = LineVectors(tmp_path, name, dimension)
    assert other.ids() == frozenset()
    assert lines.ids() == {"one"}
    other.close()
    lines.close()


@pytest.mark.parametrize("damage", WAYS_TO_DAMAGE)
def test_damage_inside_is_found_when_it_is_opened(
    tmp_path: Path, lines: LineVectors, damage: Callable[[Path], object]
) -> None:
    lines.put({f"p{number}": unit(*[number % DIMENSION] * 40) for number in range(1_000)})
    lines.close()
    damage(tmp_path / FILE)
    again = LineVectors(tmp_path, "words", DIMENSION)
    assert again.ids() == frozenset()
    again.put({"one": unit(0)})
    assert again.similarities(unit(0)[0], ["one"])["one"] == [1]
    again.close()


def test_a_damaged_file_is_told_from_a_closed_one(tmp_path: Path, lines: LineVectors) -> None:
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("DROP TABLE lines")
    other.close()
    with pytest.raises(IndexMismatch):
        lines.put({"one": unit(0)})
    assert lines.is_damaged
    lines.close()
    closed = LineVectors(tmp_path, "words", DIMENSION)
    closed.close()
    with pytest.raises(IndexMismatch):
        closed.ids()
    assert not closed.is_damaged


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / FILE).touch(0o644)
    lines = LineVectors(tmp_path, "words", DIMENSION)
    lines.put({"one": unit(0)})
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    lines.close()


def test_a_damaged_file_is_made_anew_once_by_all_who_open_it(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"garbage" * 1_000)
    code = (
        "import sys, numpy as np; from pathlib import Path; from retrievers.line_vectors import LineVectors;"
        "lines = LineVectors(Path(sys.argv[1]), 'words', 8); lines.put({sys.argv[2]: np.ones((1, 8), 'f')})"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), f"p{number}"]) for number in range(4)]
    assert [process.wait(30) for process in started] == [0] * 4
    lines = LineVectors(tmp_path, "words", DIMENSION)
    assert lines.ids() == {"p0", "p1", "p2", "p3"}
    lines.close()


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
    again = LineVectors(tmp_path, "words", DIMENSION)
    assert list(again.similarities(unit(0)[0], ["one", "two"])) == ["two"]
    again.close()
    lines.close()


def test_where_nothing_can_be_written_they_are_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    lines = LineVectors(tmp_path / "file" / "below", "words", DIMENSION)
    lines.put({"one": unit(0)})
    assert lines.ids() == {"one"}
    lines.close()


def test_a_closed_file_is_an_error_of_ours_and_answers_the_question_at_hand(lines: LineVectors) -> None:
    lines.put({"one": unit(0)})
    lines.close()
    with pytest.raises(IndexMismatch):
        lines.put({"one": unit(1)})
    assert lines.similarities(unit(0)[0], ["one"])["one"] == [1]


def test_what_another_process_changes_is_taken_over(tmp_path: Path, lines: LineVectors) -> None:
    lines.put({"one": unit(0), "two": unit(1)})
    other = LineVectors(tmp_path, "words", DIMENSION)
    other.remove(["one"])
    other.put({"three": unit(2)})
    assert lines.ids() == {"two", "three"}
    assert lines.similarities(unit(2)[0], ["one", "two", "three"]) == {"two": [0], "three": [1]}
    other.close()
    lines.close()


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


def test_what_a_former_embedder_left_is_swept_and_nobody_elses(tmp_path: Path) -> None:
    """Its vectors stayed in the folder for ever."""
    first, second = LineVectors(tmp_path, "words", DIMENSION), LineVectors(tmp_path, "other", DIMENSION)
    former = LineVectors(tmp_path, "former", DIMENSION)
    former.put({"one": unit(0)})
    former.close()
    old = time.time() - UNUSED_S - 1
    for name in ("words", "former"):
        os.utime(tmp_path / lines_file(name, DIMENSION), (old, old))
    (tmp_path / "speeds.json").write_text("{}")
    os.utime(tmp_path / "speeds.json", (old, old))
    first.close()
    first = LineVectors(tmp_path, "words", DIMENSION)
    kept = {path.name for path in tmp_path.iterdir()}
    assert not any(name.startswith(lines_file("former", DIMENSION)) for name in kept)
    assert {FILE, lines_file("other", DIMENSION), "speeds.json"} <= kept
    for lines in (first, second):
        lines.put({"one": unit(0)})
        assert lines.ids() == {"one"}
        lines.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there an open file cannot be removed")
def test_a_service_whose_file_is_swept_goes_on_with_it(tmp_path: Path, lines: LineVectors) -> None:
    lines.put({"one": unit(0)})
    old = time.time() - UNUSED_S - 1
    os.utime(tmp_path / FILE, (old, old))
    LineVectors(tmp_path, "other", DIMENSION).close()
    assert not (tmp_path / FILE).exists()
    lines.put({"two": unit(1)})
    assert lines.ids() == {"one", "two"}
    lines.close()
    again = LineVectors(tmp_path, "words", DIMENSION)
    assert again.ids() == frozenset()
    again.close()


def test_one_that_is_just_being_opened_is_not_swept(tmp_path: Path) -> None:
    LineVectors(tmp_path, "former", DIMENSION).close()
    former = tmp_path / lines_file("former", DIMENSION)
    old = time.time() - UNUSED_S - 1
    os.utime(former, (old, old))
    opening = taken(former.with_name(f"{former.name}.lock"))
    assert opening is not None
    LineVectors(tmp_path, "words", DIMENSION).close()
    assert former.exists()
    opening.close()

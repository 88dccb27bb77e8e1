"""What `VectorStore` promises, asked of every store; what only one of them promises is in that one's own file."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import IndexMismatch
from retrievers.stores.manifest import MANIFEST
from retrievers.types import OpenStore, Vectors, VectorStore
from tests.retrievers.store_support import (
    DIMENSION,
    EMBEDDER,
    ON_DISK,
    loaded,
    random_rows,
    saved,
    store_kind,
    unit_rows,
)
from tests.support.qdrant_playing import PlayedQdrant

# Half precision rounds each number by at most 2^-11 of itself, and so the cosine of two unit vectors by no more.
SCORE_TOLERANCE = 2**-11


@pytest.fixture(scope="module", params=[*ON_DISK, "played qdrant server"])
def open_store(request: pytest.FixtureRequest) -> Iterator[OpenStore]:
    if request.param in ON_DISK:
        yield ON_DISK[request.param]
        return
    with PlayedQdrant() as qdrant:
        yield store_kind(qdrant.url)


def test_round_trip(open_store: OpenStore, tmp_path: Path) -> None:
    saved(open_store, tmp_path / "index")
    store = loaded(open_store, tmp_path / "index")
    assert store.ids() == {"a", "b", "c"}
    [(nearest, score)] = store.search(unit_rows(1)[0], 1)
    assert nearest == "b"
    assert score == pytest.approx(1.0)
    assert len(store.search(unit_rows(1)[0], 10)) == 3


def test_scores_are_cosines(open_store: OpenStore, tmp_path: Path) -> None:
    store = saved(open_store, tmp_path)
    store.add(["far"], -unit_rows(0))
    found = store.search(unit_rows(0)[0], 4)
    assert [content_id for content_id, _ in found][::3] == ["a", "far"]
    assert found[0][1] == pytest.approx(1.0)
    assert found[-1][1] == pytest.approx(-1.0)
    rows = random_rows(range(100))
    store.add([f"id {number}" for number in range(100)], rows)
    assert all(-1.0 <= score <= 1.0 for row in rows for _, score in store.search(row, 1))


def test_nothing_on_disk_is_an_empty_store(open_store: OpenStore, tmp_path: Path) -> None:
    store = loaded(open_store, tmp_path / "index")
    store.remove(["unknown"])
    store.add([], np.zeros((0, DIMENSION), dtype=np.float32))
    assert store.ids() == frozenset()
    assert store.search(unit_rows(0)[0], 3) == []
    assert not list(tmp_path.rglob("*.json"))


def test_an_empty_store_can_be_saved_and_loaded(open_store: OpenStore, tmp_path: Path) -> None:
    store = open_store(tmp_path / "index", EMBEDDER, DIMENSION)
    store.save()
    assert loaded(open_store, tmp_path / "index").ids() == frozenset()
    store.add(["a"], unit_rows(0))
    store.remove(["a"])
    store.save()
    again = loaded(open_store, tmp_path / "index")
    assert again.ids() == frozenset()
    assert again.search(unit_rows(0)[0], 3) == []


def test_add_replaces_and_remove_forgets(open_store: OpenStore, tmp_path: Path) -> None:
    store = saved(open_store, tmp_path)
    store.add(["a", "d", "d"], unit_rows(5, 6, 7))
    store.remove(["b", "unknown"])
    assert store.ids() == {"a", "c", "d"}
    assert store.search(unit_rows(5)[0], 1)[0][0] == "a"
    [(nearest, score)] = store.search(unit_rows(7)[0], 1)
    assert nearest == "d"
    assert score == pytest.approx(1.0)
    store.save()
    assert loaded(open_store, tmp_path).ids() == {"a", "c", "d"}


def test_shapes_that_do_not_fit_are_refused(open_store: OpenStore, tmp_path: Path) -> None:
    store = saved(open_store, tmp_path)
    for rows in (np.zeros((1, DIMENSION + 1)), np.zeros((2, DIMENSION)), np.zeros(DIMENSION)):
        with pytest.raises(IndexMismatch):
            store.add(["x"], rows.astype(np.float32))
    for query in (np.zeros(DIMENSION + 1), np.zeros((1, DIMENSION))):
        with pytest.raises(IndexMismatch):
            store.search(query.astype(np.float32), 1)
    assert store.ids() == {"a", "b", "c"}


def test_foreign_indexes_are_not_trusted_and_are_replaced(open_store: OpenStore, tmp_path: Path) -> None:
    saved(open_store, tmp_path)
    with pytest.raises(IndexMismatch):
        loaded(open_store, tmp_path, embedder="other")
    with pytest.raises(IndexMismatch):
        loaded(open_store, tmp_path, dimension=DIMENSION + 1)
    other = open_store(tmp_path, "other", 2)
    other.add(["z"], np.eye(2, dtype=np.float32)[:1])
    other.save()
    assert loaded(open_store, tmp_path, embedder="other", dimension=2).ids() == {"z"}
    with pytest.raises(IndexMismatch):
        loaded(open_store, tmp_path)


@pytest.mark.parametrize("text", [b"", b'{"format"', b"[]", b"null", b"\xff\x00", b'{"format": 99}'])
def test_a_damaged_manifest_is_noticed_and_replaced(open_store: OpenStore, tmp_path: Path, text: bytes) -> None:
    saved(open_store, tmp_path)
    (tmp_path / MANIFEST).write_bytes(text)
    with pytest.raises(IndexMismatch):
        loaded(open_store, tmp_path)
    saved(open_store, tmp_path)
    assert loaded(open_store, tmp_path).ids() == {"a", "b", "c"}


def test_a_store_that_was_not_loaded_replaces_what_is_there(open_store: OpenStore, tmp_path: Path) -> None:
    saved(open_store, tmp_path)
    store = open_store(tmp_path, EMBEDDER, DIMENSION)
    assert store.ids() == frozenset()
    store.add(["z"], unit_rows(3))
    store.save()
    assert loaded(open_store, tmp_path).ids() == {"z"}


def test_the_best_of_a_thousand_vectors_are_found(open_store: OpenStore, tmp_path: Path) -> None:
    dimension = 64
    rows = random_rows(range(1_000), dimension)
    store = open_store(tmp_path, EMBEDDER, dimension)
    store.load()
    for start in range(0, 1_000, 300):
        store.add([f"id {number}" for number in range(start, min(start + 300, 1_000))], rows[start : start + 300])
    store.save()
    store = loaded(open_store, tmp_path, dimension=dimension)
    assert len(store.ids()) == 1_000
    for query in random_rows(range(2_000, 2_010), dimension):
        cosines = rows @ query
        found = store.search(query, 40)
        assert len(dict(found)) == 40
        assert [score for _, score in found] == pytest.approx(np.sort(cosines)[:-41:-1], abs=SCORE_TOLERANCE)
        own = [cosines[int(content_id.removeprefix("id "))] for content_id, _ in found]
        assert [score for _, score in found] == pytest.approx(own, abs=SCORE_TOLERANCE)
    assert len(store.search(rows[0], 5_000)) == 1_000


def test_threads_may_share_a_store(open_store: OpenStore, tmp_path: Path) -> None:
    store = saved(open_store, tmp_path)
    failures: list[BaseException] = []

    def run(work: Callable[[int], object]) -> None:
        try:
            for turn in range(15):
                work(turn)
        except BaseException as error:  # noqa: BLE001 - a failure of any kind is what is looked for
            failures.append(error)

    def change(name: str) -> Callable[[int], None]:
        def work(turn: int) -> None:
            store.add([f"{name}{turn}", f"{name}-"], random_rows([turn, turn + 1]))
            store.remove([f"{name}{turn - 1}"])

        return work

    def search(turn: int) -> None:
        found = store.search(random_rows([turn])[0], 50)
        assert {"a", "b", "c"} <= {content_id for content_id, _ in found}

    works = [change("x"), change("y"), search, search, lambda _: store.save(), lambda _: store.ids()]
    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.ids() == {"a", "b", "c", "x14", "x-", "y14", "y-"}
    store.save()
    assert loaded(open_store, tmp_path).ids() == store.ids()


IDS = st.integers(0, 12).map("content {}".format)
SEEDS = st.integers(0, 30)
OPERATIONS = st.one_of(
    st.tuples(st.just("add"), st.lists(st.tuples(IDS, SEEDS), max_size=8)),
    st.tuples(st.just("remove"), st.lists(IDS, max_size=6)),
    st.tuples(st.just("search"), st.tuples(SEEDS, st.integers(0, 20))),
    st.tuples(st.sampled_from(["save", "load"]), st.none()),
)


@settings(max_examples=25)
@given(operations=st.lists(OPERATIONS, max_size=14))
def test_any_sequence_is_as_in_a_plain_model(open_store: OpenStore, operations: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Modelled(open_store, Path(folder) / "index").run([*operations, ("search", (0, 20)), ("save", None)])


class Modelled:
    """A store and what it should hold: seeds of vectors by content id, unsaved and saved."""

    def __init__(self, open_store: OpenStore, folder: Path) -> None:
        self.new: Callable[[], VectorStore] = lambda: loaded(open_store, folder)
        self.keeps_unsaved = "Server" in repr(open_store)
        self.store = self.new()
        self.held: dict[str, int] = {}
        self.saved: dict[str, int] = {}

    def run(self, operations: Sequence[tuple[str, Any]]) -> None:
        for name, argument in operations:
            getattr(self, name)(argument)
            assert self.store.ids() == self.held.keys()

    def add(self, rows: list[tuple[str, int]]) -> None:
        self.store.add([content_id for content_id, _ in rows], random_rows(seed for _, seed in rows))
        self.held |= dict(rows)

    def remove(self, ids: list[str]) -> None:
        self.store.remove(ids)
        self.held = {content_id: seed for content_id, seed in self.held.items() if content_id not in ids}

    def save(self, _: None) -> None:
        self.store.save()
        self.saved = dict(self.held)

    def load(self, _: None) -> None:
        self.store = self.new()
        self.held = dict(self.held if self.keeps_unsaved else self.saved)

    def search(self, argument: tuple[int, int]) -> None:
        seed, k = argument
        query: Vectors = random_rows([seed])[0]
        expected = {content_id: float(random_rows([each])[0] @ query) for content_id, each in self.held.items()}
        found = self.store.search(query, k)
        # Ids of equal vectors may come in any order: the scores say whether the best were found.
        assert len({content_id for content_id, _ in found}) == len(found)
        scores = [score for _, score in found]
        assert scores == pytest.approx(sorted(expected.values(), reverse=True)[:k], abs=SCORE_TOLERANCE)
        for content_id, score in found:
            assert score == pytest.approx(expected[content_id], abs=SCORE_TOLERANCE)

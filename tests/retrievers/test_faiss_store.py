from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from config.errors import IndexMismatch
from retrievers.stores import faiss as stores
from retrievers.stores.faiss import FaissStore
from retrievers.types import Vectors, VectorStore

DIMENSION = 8


def unit_rows(*places: int) -> Vectors:
    return np.eye(DIMENSION, dtype=np.float32)[list(places)]


def saved(folder: Path) -> VectorStore:
    store = FaissStore(folder, "words", DIMENSION)
    store.add(["a", "b", "c"], unit_rows(0, 1, 2))
    store.save()
    return store


def loaded(folder: Path, *, name: str = "words", dimension: int = DIMENSION) -> VectorStore:
    store = FaissStore(folder, name, dimension)
    store.load()
    return store


def test_round_trip(tmp_path: Path) -> None:
    saved(tmp_path / "index")
    store = loaded(tmp_path / "index")
    assert store.ids() == {"a", "b", "c"}
    [(nearest, score)] = store.search(unit_rows(1)[0], 1)
    assert nearest == "b"
    assert score == pytest.approx(1.0)
    assert len(store.search(unit_rows(1)[0], 10)) == 3


def test_nothing_on_disk_is_an_empty_store(tmp_path: Path) -> None:
    store = loaded(tmp_path / "index")
    assert store.ids() == frozenset()
    assert store.search(unit_rows(0)[0], 3) == []
    assert not (tmp_path / "index").exists()


def test_add_replaces_and_remove_forgets(tmp_path: Path) -> None:
    store = saved(tmp_path)
    store.add(["a", "d", "d"], unit_rows(5, 6, 7))
    store.remove(["b", "unknown"])
    assert store.ids() == {"a", "c", "d"}
    assert store.search(unit_rows(5)[0], 1)[0][0] == "a"
    [(nearest, score)] = store.search(unit_rows(7)[0], 1)
    assert nearest == "d"
    assert score == pytest.approx(1.0)
    store.save()
    assert loaded(tmp_path).ids() == {"a", "c", "d"}


def test_shapes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    store = saved(tmp_path)
    with pytest.raises(IndexMismatch):
        store.add(["x"], np.zeros((1, DIMENSION + 1), dtype=np.float32))
    with pytest.raises(IndexMismatch):
        store.search(np.zeros(DIMENSION + 1, dtype=np.float32), 1)


def test_foreign_indexes_are_not_trusted(tmp_path: Path) -> None:
    saved(tmp_path)
    with pytest.raises(IndexMismatch):
        loaded(tmp_path, name="other")
    with pytest.raises(IndexMismatch):
        loaded(tmp_path, dimension=DIMENSION + 1)


def edit_manifest(folder: Path, **changes: object) -> None:
    path = folder / stores.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def flip_a_byte(folder: Path) -> None:
    path = next(folder.glob("vectors-*"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / stores.MANIFEST).write_text('{"format"'),
        lambda folder: (folder / stores.MANIFEST).write_text("[]"),
        lambda folder: (folder / stores.MANIFEST).write_bytes(b"\xff\x00"),
        lambda folder: edit_manifest(folder, format=99),
        lambda folder: edit_manifest(folder, ids=["a", "b"]),
        lambda folder: edit_manifest(folder, ids=["a", "b", "z"]),
        lambda folder: edit_manifest(folder, ids=[1, 2, 3]),
        lambda folder: edit_manifest(folder, ids=None),
        lambda folder: edit_manifest(folder, vectors="../../etc/passwd"),
        lambda folder: edit_manifest(folder, vectors=None),
        lambda folder: next(folder.glob("vectors-*")).unlink(),
        lambda folder: next(folder.glob("vectors-*")).write_bytes(b""),
        flip_a_byte,
    ],
)
def test_damage_is_noticed(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    saved(tmp_path)
    damage(tmp_path)
    with pytest.raises(IndexMismatch):
        loaded(tmp_path)


def test_a_crash_while_saving_leaves_the_old_index(tmp_path: Path) -> None:
    """Every prefix of the writes of a save is a state that a kill can leave behind."""
    store = saved(tmp_path)
    manifest = (tmp_path / stores.MANIFEST).read_bytes()
    store.add(["d"], unit_rows(3))
    store.save()
    # Killed after the new vectors, before the new manifest; a half-written temporary file lies about too.
    (tmp_path / stores.MANIFEST).write_bytes(manifest)
    (tmp_path / ".writing-half").write_bytes(b"half")
    assert loaded(tmp_path).ids() == {"a", "b", "c"}


def test_old_vectors_are_removed_once_no_other_service_can_need_them(tmp_path: Path) -> None:
    store = saved(tmp_path)
    old = next(tmp_path.glob("vectors-*"))
    store.save()
    assert old.exists()
    os.utime(old, (0, 0))
    store.save()
    assert not old.exists()
    assert loaded(tmp_path).ids() == {"a", "b", "c"}


def test_no_pickle_and_no_text_on_disk(tmp_path: Path) -> None:
    saved(tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".faiss", ".json"]

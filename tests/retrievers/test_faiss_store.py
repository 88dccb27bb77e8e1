"""What is FAISS's alone: its two files, and what is noticed of damage. The rest: `test_store_conformance.py`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import IndexMismatch
from retrievers.stores.faiss import FaissStore
from retrievers.stores.manifest import MANIFEST
from tests.retrievers.store_support import DIMENSION, EMBEDDER, loaded, saved, unit_rows


def edit_manifest(folder: Path, **changes: object) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def flip_a_byte(folder: Path) -> None:
    path = next(folder.glob("vectors-*"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
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
    saved(FaissStore, tmp_path)
    damage(tmp_path)
    with pytest.raises(IndexMismatch):
        loaded(FaissStore, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_nobody_else_can_read_the_index(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    saved(FaissStore, tmp_path)
    saved(FaissStore, tmp_path / "new")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path, tmp_path / "new")} == {0o700}


def test_a_crash_while_saving_leaves_the_old_index(tmp_path: Path) -> None:
    """Every prefix of the writes of a save is a state that a kill can leave behind."""
    store = saved(FaissStore, tmp_path)
    manifest = (tmp_path / MANIFEST).read_bytes()
    store.add(["d"], unit_rows(3))
    store.save()
    # Killed after the new vectors, before the new manifest; a half-written temporary file lies about too.
    (tmp_path / MANIFEST).write_bytes(manifest)
    (tmp_path / ".writing-half").write_bytes(b"half")
    assert loaded(FaissStore, tmp_path).ids() == {"a", "b", "c"}


def test_old_vectors_are_removed_once_no_other_service_can_need_them(tmp_path: Path) -> None:
    store = saved(FaissStore, tmp_path)
    old = next(tmp_path.glob("vectors-*"))
    store.save()
    assert old.exists()
    os.utime(old, (0, 0))
    store.save()
    assert not old.exists()
    assert loaded(FaissStore, tmp_path).ids() == {"a", "b", "c"}


def test_no_pickle_and_no_text_on_disk(tmp_path: Path) -> None:
    saved(FaissStore, tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".faiss", ".json"]


def test_an_index_that_cannot_be_written_still_serves(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("where the folder should be")
    store = FaissStore(tmp_path / "file" / "index", EMBEDDER, DIMENSION)
    store.add(["a"], unit_rows(0))
    with pytest.raises(OSError, match="file"):
        store.save()
    assert store.search(unit_rows(0)[0], 1) == [("a", 1.0)]

"""What Chroma and local Qdrant have in common: snapshots of a database's folder, and working copies of them."""

from __future__ import annotations

import gc
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from config.errors import IndexMismatch, MemoryUnavailable
from retrievers.stores import chroma, snapshots
from retrievers.stores.chroma import ChromaStore
from retrievers.stores.manifest import MANIFEST
from retrievers.types import OpenStore, Vectors
from tests.retrievers.store_support import DIMENSION, EMBEDDER, ON_DISK, loaded, random_rows, saved, unit_rows


@pytest.fixture(params=["chroma", "qdrant"])
def open_store(request: pytest.FixtureRequest) -> OpenStore:
    return ON_DISK[request.param]


def edit_manifest(folder: Path, **changes: object) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def largest_file(folder: Path) -> Path:
    return max(folder.glob("snapshot-*/**/*"), key=lambda path: path.stat().st_size if path.is_file() else -1)


def flip_a_byte(folder: Path) -> None:
    data = bytearray(largest_file(folder).read_bytes())
    data[len(data) // 2] ^= 0xFF
    largest_file(folder).write_bytes(data)


def remove_the_snapshot(folder: Path) -> None:
    next(folder.glob("snapshot-*")).rename(folder / "elsewhere")


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte,
        remove_the_snapshot,
        lambda folder: largest_file(folder).unlink(),
        lambda folder: largest_file(folder).write_bytes(b""),
        lambda folder: (next(folder.glob("snapshot-*")) / "one more").write_bytes(b"x"),
        lambda folder: edit_manifest(folder, snapshot="../elsewhere"),
        lambda folder: edit_manifest(folder, snapshot=".."),
        lambda folder: edit_manifest(folder, snapshot=3),
        lambda folder: edit_manifest(folder, snapshot="snapshot-none", files={}),
        lambda folder: edit_manifest(folder, files=None),
    ],
)
def test_damage_is_noticed_and_the_index_is_replaced(
    open_store: OpenStore, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    saved(open_store, tmp_path)
    damage(tmp_path)
    with pytest.raises(IndexMismatch):
        loaded(open_store, tmp_path)
    saved(open_store, tmp_path)
    assert loaded(open_store, tmp_path).ids() == {"a", "b", "c"}


def test_what_the_library_cannot_open_is_a_mismatch(open_store: OpenStore, tmp_path: Path) -> None:
    """As after a step back to an older version of it: our own hashes are right then."""
    saved(open_store, tmp_path)
    kept = largest_file(tmp_path)
    kept.write_bytes(b"SQLite format 3\x00 of another kind")
    files = json.loads((tmp_path / MANIFEST).read_text())["files"]
    name = kept.relative_to(next(tmp_path.glob("snapshot-*"))).as_posix()
    edit_manifest(tmp_path, files=files | {name: hashlib.sha256(kept.read_bytes()).hexdigest()})
    with pytest.raises(IndexMismatch):
        loaded(open_store, tmp_path)
    assert not list(tmp_path.glob("working-*"))


def test_what_is_not_saved_is_the_process_own(open_store: OpenStore, tmp_path: Path) -> None:
    saved(open_store, tmp_path)
    one, other = loaded(open_store, tmp_path), loaded(open_store, tmp_path)
    one.remove(["a"])
    other.add(["d"], unit_rows(3))
    assert one.ids() == {"b", "c"}
    assert other.ids() == {"a", "b", "c", "d"}
    one.save()
    assert other.search(unit_rows(0)[0], 1)[0][0] == "a"
    assert loaded(open_store, tmp_path).ids() == {"b", "c"}
    other.save()
    assert loaded(open_store, tmp_path).ids() == {"a", "b", "c", "d"}


def test_a_store_that_is_dropped_leaves_nothing_open(open_store: OpenStore, tmp_path: Path) -> None:
    store = saved(open_store, tmp_path)
    store.load()
    assert len(list(tmp_path.glob("working-*"))) == 1
    del store
    gc.collect()
    assert not list(tmp_path.glob("working-*"))
    assert len(list(tmp_path.glob("snapshot-*"))) == 1


def test_a_folder_that_cannot_be_written_says_what_to_do(open_store: OpenStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("where the folder should be")
    store = open_store(tmp_path / "file" / "index", EMBEDDER, DIMENSION)
    with pytest.raises(MemoryUnavailable, match="VECTOR_STORE_PATH"):
        store.add(["a"], unit_rows(0))
    with pytest.raises(OSError, match="file"):
        store.save()
    assert store.ids() == frozenset()
    assert store.search(unit_rows(0)[0], 1) == []


def test_a_failed_save_leaves_the_old_index_and_a_store_that_serves(
    open_store: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = saved(open_store, tmp_path)
    store.add(["d"], unit_rows(3))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("retrievers.stores.snapshots.shutil.copyfile", full)
        with pytest.raises(OSError, match="No space"):
            store.save()
    assert loaded(open_store, tmp_path).ids() == {"a", "b", "c"}
    assert store.search(unit_rows(3)[0], 1)[0][0] == "d"
    store.save()
    assert loaded(open_store, tmp_path).ids() == {"a", "b", "c", "d"}


def test_no_text_is_kept(open_store: OpenStore, tmp_path: Path) -> None:
    """Chroma makes room for text, and leaves it empty."""
    saved(open_store, tmp_path)
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} <= {MANIFEST, "snapshot", "working"}


def test_chroma_does_as_it_is_told_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hostile = {
        "CHROMA_API_IMPL": "chromadb.api.fastapi.FastAPI",
        "CHROMA_SERVER_HOST": "chroma.example",
        "CHROMA_SERVER_HTTP_PORT": "1",
        "IS_PERSISTENT": "false",
        "PERSIST_DIRECTORY": str(tmp_path / "wrong"),
        "ANONYMIZED_TELEMETRY": "true",
        "ALLOW_RESET": "true",
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".env").write_text("IS_PERSISTENT=false\nMIGRATIONS=none\n", encoding="utf-8")
    saved(ChromaStore, tmp_path / "index")
    assert loaded(ChromaStore, tmp_path / "index").ids() == {"a", "b", "c"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", "index"]


def test_chroma_finds_every_vector_after_many_were_removed_and_replaced(tmp_path: Path) -> None:
    """In tight clusters, where HNSW's graph is most easily torn."""
    dimension = 32
    store = ChromaStore(tmp_path, EMBEDDER, dimension)
    held: dict[str, int] = {}
    for turn in range(12):
        seeds = {f"id {seed // 2}": seed for seed in range(turn * 150, turn * 150 + 300)}
        store.add(list(seeds), clustered(seeds.values(), dimension))
        held |= seeds
        gone = list(held)[:: 2 + turn % 3]
        store.remove(gone)
        held = {content_id: seed for content_id, seed in held.items() if content_id not in gone}
    query = clustered([0], dimension)[0]
    expected = clustered(held.values(), dimension) @ query
    found = dict(store.search(query, 10_000))
    assert [found[content_id] for content_id in held] == pytest.approx(expected.tolist(), abs=1e-5)


def clustered(seeds: Iterable[int], dimension: int) -> Vectors:
    seeds = list(seeds)
    rows = random_rows((seed % 5 for seed in seeds), dimension) + 0.3 * random_rows(
        (seed + 5 for seed in seeds), dimension
    )
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def test_chroma_gives_back_the_room_of_removed_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ChromaStore(tmp_path, EMBEDDER, DIMENSION)
    ids = [f"id {number}" for number in range(1_500)]
    store.add(ids, random_rows(range(1_500)))
    store.remove(ids[10:])
    store.save()
    monkeypatch.setattr(chroma, "ROOM_BYTES", 256 * 1024)
    small = loaded(ChromaStore, tmp_path)
    before = bytes_below(next(tmp_path.glob("snapshot-*")))
    assert small.ids() == set(ids[:10])
    assert small.search(random_rows([7])[0], 1)[0][0] == "id 7"
    small.save()
    assert min(bytes_below(path) for path in tmp_path.glob("snapshot-*")) < before / 2


def bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_snapshot_that_is_replaced_while_it_is_read_is_read_anew(
    open_store: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = saved(open_store, tmp_path)
    other.add(["d"], unit_rows(3))
    copy_files = snapshots._copy_files

    def replaced_meanwhile(source: Path, target: Path) -> None:
        monkeypatch.setattr(snapshots, "_copy_files", copy_files)
        other.save()
        shutil.rmtree(source)
        copy_files(source, target)

    monkeypatch.setattr(snapshots, "_copy_files", replaced_meanwhile)
    assert loaded(open_store, tmp_path).ids() == {"a", "b", "c", "d"}

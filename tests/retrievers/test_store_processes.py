"""Several services on one index folder, and services that are killed: with real processes.

The embedded stores give each process a state of its own, and publish whole ones. A Qdrant server is one state that
all share, which changes point by point: there a kill can leave any part of what was being added or removed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from retrievers.stores.snapshots import LOCK
from tests.retrievers.store_support import ON_DISK, loaded, saved, unit_rows
from tests.retrievers.store_worker import state
from tests.support.qdrant_playing import PlayedQdrant

ROOT = Path(__file__).parents[2]
ROUNDS = 6
SNAPSHOT_STORES = ("chroma", "qdrant")


def worker(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.retrievers.store_worker", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def share_a_folder(kind: str, folder: Path) -> None:
    """Two processes at once; neither fails."""
    processes = [worker("share", kind, str(folder), name, str(ROUNDS)) for name in ("first", "second")]
    for process in processes:
        _, said = process.communicate(timeout=90)
        assert process.returncode == 0, said


def rows_of(name: str) -> set[str]:
    return {f"{name}-{turn}" for turn in range(ROUNDS)}


@pytest.mark.parametrize("kind", ON_DISK)
def test_two_processes_on_one_folder_leave_the_whole_state_of_one(kind: str, tmp_path: Path) -> None:
    share_a_folder(kind, tmp_path / "index")
    ids = loaded(ON_DISK[kind], tmp_path / "index").ids()
    assert rows_of("first") <= ids or rows_of("second") <= ids
    assert ids <= rows_of("first") | rows_of("second")


def test_two_processes_on_one_qdrant_server_share_its_collection(tmp_path: Path) -> None:
    with PlayedQdrant() as qdrant:
        share_a_folder(qdrant.url, tmp_path / "index")
        assert len(qdrant.collections()) == 1
        assert qdrant.engine.count(qdrant.collections()[0]).count == 2 * ROUNDS


@pytest.mark.parametrize("kind", ON_DISK)
def test_a_kill_while_saving_leaves_a_whole_state(kind: str, tmp_path: Path) -> None:
    for patience_s in (0.0, 0.05, 0.2):
        process = worker("save", kind, str(tmp_path))
        assert process.stdout is not None
        said = process.stdout.readline()
        time.sleep(patience_s)
        process.kill()
        rest, trouble = process.communicate()
        assert said, trouble
        last = [int(line) for line in (said + rest).split()][-1]
        # The kill may come between the manifest and the word of it.
        assert loaded(ON_DISK[kind], tmp_path).ids() in {state(last), state(last + 1)}


@pytest.mark.parametrize("kind", SNAPSHOT_STORES)
def test_what_a_killed_process_had_open_is_removed_and_what_a_living_one_has_is_not(kind: str, tmp_path: Path) -> None:
    process = worker("save", kind, str(tmp_path))
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate()
    [dead] = tmp_path.glob("working-*")
    store = saved(ON_DISK[kind], tmp_path)
    assert dead.exists(), "it could be one that is just being made"
    living = next(path for path in tmp_path.glob("working-*") if path != dead)
    for folder in (dead, living):
        os.utime(folder, (0, 0))
    loaded(ON_DISK[kind], tmp_path)
    assert not dead.exists()
    assert (living / LOCK).exists()
    assert store.search(unit_rows(1)[0], 1)[0][0] == "b"


@pytest.mark.parametrize("kind", SNAPSHOT_STORES)
def test_superseded_snapshots_are_removed_once_nobody_can_need_them(kind: str, tmp_path: Path) -> None:
    store = saved(ON_DISK[kind], tmp_path)
    [old] = tmp_path.glob("snapshot-*")
    store.save()
    assert old.exists()
    os.utime(old, (0, 0))
    store.save()
    assert not old.exists()
    assert loaded(ON_DISK[kind], tmp_path).ids() == {"a", "b", "c"}

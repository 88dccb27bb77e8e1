"""A process of its own on an index folder, for `test_store_processes.py`.

python -m tests.retrievers.store_worker share <store> <folder> <name> <rounds>
python -m tests.retrievers.store_worker save <store> <folder>
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from retrievers.types import OpenStore
from tests.retrievers.store_support import DIMENSION, EMBEDDER, loaded, random_rows, store_kind

ROWS_PER_STATE = 20


def state(number: int) -> frozenset[str]:
    """The ids of one saved state; no two states share any."""
    return frozenset(f"{number}-{row}" for row in range(ROWS_PER_STATE))


def share(open_store: OpenStore, folder: Path, name: str, rounds: int) -> None:
    """Add, find and save rows of its own, while another process does the same."""
    store = loaded(open_store, folder)
    for turn in range(rounds):
        content_id = f"{name}-{turn}"
        [row] = random_rows([hash_of(content_id)])
        store.add([content_id], row[None])
        store.save()
        assert store.search(row, 1)[0][0] == content_id, "its own row is not found"
        assert {f"{name}-{each}" for each in range(turn + 1)} <= store.ids(), "its own rows are lost"
        for found, _ in store.search(row, 100):
            assert found.partition("-")[0] in {"first", "second"}, "a row that nobody wrote"
        loaded(open_store, folder)


def hash_of(content_id: str) -> int:
    return int.from_bytes(content_id.encode()[-6:], "big")


def save_for_ever(open_store: OpenStore, folder: Path) -> None:
    """Replace the state again and again, saying each once it is saved."""
    store = open_store(folder, EMBEDDER, DIMENSION)
    for number in itertools.count():
        store.remove(state(number - 1))
        store.add(sorted(state(number)), random_rows(range(ROWS_PER_STATE)))
        store.save()
        print(number, flush=True)  # noqa: T201 - the test reads it


if __name__ == "__main__":
    task, kind, folder, *rest = sys.argv[1:]
    if task == "share":
        share(store_kind(kind), Path(folder), rest[0], int(rest[1]))
    else:
        save_for_ever(store_kind(kind), Path(folder))

"""A vector store over an embedded database: which state is open, who may touch it, and when it is published."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import numpy as np

from config.errors import IndexMismatch, MemoryUnavailable
from retrievers.stores.manifest import identity
from retrievers.stores.shapes import as_cosine, check_query, rows_by_id
from retrievers.stores.snapshots import Snapshots, WorkingFolder
from retrievers.types import Vectors

PASSING = (MemoryUnavailable, KeyboardInterrupt, SystemExit)


class Database(Protocol):
    """An embedded database, open on one folder. Called by one thread at a time; raises what its library raises."""

    def ids(self) -> frozenset[str]:
        """The content ids that have a vector."""
        ...

    def upsert(self, ids: list[str], vectors: Vectors) -> None:
        """Add or replace; ids are unique, and there is at least one."""
        ...

    def delete(self, ids: list[str]) -> None:
        """Remove; ids are unique, unknown ones are ignored, and there is at least one."""
        ...

    def nearest(self, vector: Vectors, k: int) -> list[tuple[str, float]]:
        """At most `k`, at least 1, `(id, cosine similarity)`, best first."""
        ...

    def settled(self) -> AbstractContextManager[None]:
        """While in it, everything is in the folder's files, and none of them changes."""
        ...

    def close(self) -> None:
        """Give the folder back."""
        ...


OpenDatabase = Callable[[Path, int], Database]
"""Opens the database in `(folder, dimension)`; makes it where the folder is empty."""


class EmbeddedStore:
    """Vectors by content id in an embedded database. What is not saved is this process's alone.

    Args:
        folder: Where the index lives; made when first written.
        embedder_name: Whose vectors these are; others on disk raise `IndexMismatch` on `load`.
        dimension: Length of each vector.
        format_name: The database and the version of what we keep in it.
        open_database: Opens it.
    """

    def __init__(
        self, folder: Path, embedder_name: str, dimension: int, *, format_name: str, open_database: OpenDatabase
    ) -> None:
        self._dimension = dimension
        self._open_database = open_database
        self._snapshots = Snapshots(folder, identity(format_name, embedder_name, dimension))
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._opened: _Opened | None = None
        self._give_up: Callable[[], object] = lambda: None

    def load(self) -> None:
        """Read what is on disk; nothing there is an empty store. Raises `IndexMismatch` if damaged or
        foreign.
        """
        with _as_unavailable():
            working = self._snapshots.fetch()
        if working is None:
            return
        try:
            with _as_unavailable():
                database = self._open_database(working.database, self._dimension)
        except MemoryUnavailable as exc:
            working.remove()
            raise IndexMismatch("The index's database does not open; the index will be rebuilt.") from exc
        with self._lock:
            self._use(_Opened(working, database))

    def save(self) -> None:
        """Publish all of it atomically. Raises `OSError`, and leaves the old state then."""
        with self._saving:
            with self._lock, _as_unavailable((*PASSING, OSError)):
                opened = self._opened or self._new()
                with opened.database.settled():
                    copy = opened.working.copy_out()
            self._snapshots.publish(copy)

    def ids(self) -> frozenset[str]:
        """The content ids that have a vector."""
        with self._lock, _as_unavailable():
            return self._opened.database.ids() if self._opened is not None else frozenset()

    def add(self, ids: Sequence[str], vectors: Vectors) -> None:
        """Add or replace; `vectors` is `(len(ids), dimension)` float32. Raises `IndexMismatch` on another
        shape.
        """
        rows = rows_by_id(ids, vectors, self._dimension)
        if not rows:
            return
        with self._lock, _as_unavailable():
            opened = self._opened or self._new()
            opened.database.upsert(list(rows), np.asarray(vectors[list(rows.values())], dtype=np.float32))

    def remove(self, ids: Collection[str]) -> None:
        """Remove; unknown ids are ignored."""
        with self._lock, _as_unavailable():
            if ids and self._opened is not None:
                self._opened.database.delete(list(dict.fromkeys(ids)))

    def search(self, vector: Vectors, k: int) -> list[tuple[str, float]]:
        """At most `k` `(id, cosine similarity)`, best first; `vector` is `(dimension,)`, normalised."""
        check_query(vector, self._dimension)
        with self._lock, _as_unavailable():
            if k <= 0 or self._opened is None:
                return []
            found = self._opened.database.nearest(np.asarray(vector, dtype=np.float32), k)
        return [(content_id, as_cosine(score)) for content_id, score in found]

    def _new(self) -> _Opened:
        working = self._snapshots.new_working_folder()
        try:
            opened = _Opened(working, self._open_database(working.database, self._dimension))
        except BaseException:
            working.remove()
            raise
        self._use(opened)
        return opened

    def _use(self, opened: _Opened) -> None:
        self._give_up()
        self._opened = opened
        # Stores are dropped, not closed: a bank that is not in use any more, or an index that is rebuilt.
        self._give_up = weakref.finalize(self, opened.give_up)


class _Opened:
    """A working folder and the database that is open on it."""

    def __init__(self, working: WorkingFolder, database: Database) -> None:
        self.working = working
        self.database = database

    def give_up(self) -> None:
        with suppress(Exception):
            self.database.close()
        self.working.remove()


def unwritable(error: OSError) -> MemoryUnavailable:
    """What to say where an index folder cannot be made, read or written."""
    return MemoryUnavailable(
        f"The index cannot be written ({error.strerror}); check VECTOR_STORE_PATH and the disk's space."
    )


@contextmanager
def _as_unavailable(passing: tuple[type[BaseException], ...] = PASSING) -> Iterator[None]:
    """Each database fails in its own ways; what callers handle is `MemoryUnavailable`."""
    try:
        yield
    except passing:
        raise
    except OSError as exc:
        raise unwritable(exc) from exc
    except BaseException as exc:  # a panic of Chroma's native code is no `Exception`
        raise MemoryUnavailable(
            f"The index's database failed ({type(exc).__name__}); restart the service, and if that does not help, "
            "delete the index's folder."
        ) from exc

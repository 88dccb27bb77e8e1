"""A SQLite file that holds what can be made again: damaged or foreign content is thrown away when it is opened."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from retrievers.stores.locks import taken
from retrievers.stores.manifest import private_folder, unnamed

BUSY_TIMEOUT_S = 5.0
# Pages that hold several rows of a few kilobytes: a question reads a hundred of them.
PAGE_BYTES = 16_384
PRIVATE_FILE = 0o600
UNUSED_S = 30 * 86_400.0

_SQLITE_SUFFIXES = ("", "-wal", "-shm")
_DAMAGE = frozenset(
    {
        sqlite3.SQLITE_ERROR,  # what we ask for fits our own tables, so these are others
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_FORMAT,
    }
)
_PRIMARY = 0xFF  # the rest of a code says more of the same


class _Damaged(sqlite3.DatabaseError):
    pass


def is_damage(exc: sqlite3.Error) -> bool:
    """Whether opening the file again helps, as it is damaged or foreign; not if locked, closed or full."""
    code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return isinstance(exc, _Damaged) or code & _PRIMARY in _DAMAGE


class CacheFile:
    """One connection for all threads. SQLite's write-ahead log makes each change whole or absent, also for two
    processes on one file and for one that is killed. A file with damaged pages or other tables is made anew; what
    else its rows depend on belongs into its name, `<kind>-<that>.sqlite`, so that nobody's rows vanish while they
    are used. Of that kind, files that nobody has opened for `UNUSED_S`, as a former embedder's, are removed.

    Args:
        path: The file; its folder is made when needed, both for this user only. None keeps all in memory.
        tables: For each table its columns.

    Raises:
        OSError: the folder or file cannot be written, or another process opens it for seconds.
        sqlite3.Error: SQLite cannot write there, e.g. as the file system has no locks.
    """

    def __init__(self, path: Path | None, tables: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        if path is None:
            self._connection = _opened(":memory:", tables)
            return
        private_folder(path.parent)
        guard = path.with_name(f"{path.name}.lock")
        _make_private(guard)
        # One process at a time: what one has just made anew must not be taken away by another.
        lock = taken(guard, wait_s=BUSY_TIMEOUT_S)
        if lock is None:
            raise OSError(errno.EAGAIN, "another process opens it", str(path))
        with closing(lock):
            self._connection = _opened_or_new(path, tables)
        with suppress(OSError):
            os.utime(path)
        for former in unnamed(path.parent, [f"{path.stem.partition('-')[0]}-*{path.suffix}"], older_than_s=UNUSED_S):
            _remove(former)

    def read(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows. Raises `sqlite3.Error`."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def write(self, query: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run `query` for each row, all in one transaction. Raises `sqlite3.Error`, and nothing is changed then."""
        with self._lock, self._connection:
            self._connection.executemany(query, rows)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def _make_private(path: Path) -> None:
    # A new file only: to close a second descriptor of an open one would end SQLite's locks on it.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE_FILE))
    for suffix in _SQLITE_SUFFIXES:
        existing = path.with_name(path.name + suffix)
        if existing.is_file():
            with suppress(OSError):
                existing.chmod(PRIVATE_FILE)


def _opened_or_new(path: Path, tables: Mapping[str, str]) -> sqlite3.Connection:
    _make_private(path)
    try:
        return _opened(path, tables)
    except sqlite3.DatabaseError as exc:
        if not is_damage(exc):
            raise
    _unlink(path)
    _make_private(path)
    return _opened(path, tables)


def _unlink(path: Path) -> None:
    for suffix in _SQLITE_SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _remove(path: Path) -> None:
    """Unless somebody is just opening it. Who has it open goes on with what it was, and makes it anew when started."""
    guard = path.with_name(f"{path.name}.lock")
    with suppress(OSError):
        if (lock := taken(guard)) is not None:
            with closing(lock):
                _unlink(path)
            guard.unlink(missing_ok=True)


def _opened(path: Path | str, tables: Mapping[str, str]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for table, columns in tables.items():
                connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
        _check(connection, tables)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, tables: Mapping[str, str]) -> None:
    with closing(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")) as rows:
        found = dict(rows)
    if found != {table: f"CREATE TABLE {table} ({columns})" for table, columns in tables.items()}:
        raise _Damaged("The file has other tables.")
    with closing(connection.execute("PRAGMA quick_check(1)")) as rows:
        if rows.fetchall() != [("ok",)]:
            raise _Damaged("The file's pages are damaged.")

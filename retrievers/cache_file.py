"""A SQLite file that holds what can be made again: damaged or foreign content is thrown away when it is opened."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

BUSY_TIMEOUT_S = 5.0
# Pages that hold several rows of a few kilobytes: a question reads a hundred of them.
PAGE_BYTES = 16_384
PRIVATE_FOLDER = 0o700

_ABOUT = "CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"


class CacheFile:
    """One connection for all threads. SQLite's write-ahead log makes each change whole or absent, also for two
    processes on one file and for one that is killed.

    Args:
        path: The file; its folder is made when needed, readable by this user only. None keeps all in memory.
        tables: For each table its columns.
        about: What the content depends on; where the file says otherwise, all rows are dropped.

    Raises:
        OSError: the folder or file cannot be written.
        sqlite3.Error: neither can SQLite, e.g. as the file system has no locks.
    """

    def __init__(self, path: Path | None, tables: Mapping[str, str], about: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        if path is None:
            self._connection = _opened(":memory:", tables, about)
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        try:
            self._connection = _opened(path, tables, about)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._connection = _opened(path, tables, about)

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


def _opened(path: Path | str, tables: Mapping[str, str], about: Mapping[str, str]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_ABOUT)
            for table, columns in tables.items():
                connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
            with closing(connection.execute("SELECT key, value FROM about")) as rows:
                known = dict(rows)
            if known != about:
                for table in (*tables, "about"):
                    connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own tables' names
                connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())
    except BaseException:
        connection.close()
        raise
    return connection

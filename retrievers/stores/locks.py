"""A lock between processes that ends with the process that has it, however that ends."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path


def taken(path: Path, *, wait_s: float = 0) -> sqlite3.Connection | None:
    """The lock of this file, free again once closed; None while another has it. Raises `OSError`.

    It is SQLite's own lock, because that is the same on every system, network folders aside.
    """
    connection = None
    try:
        connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False)
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as exc:
        if connection is not None:
            connection.close()
        if exc.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            return None
        raise OSError(errno.EACCES, str(exc), str(path)) from exc
    return connection

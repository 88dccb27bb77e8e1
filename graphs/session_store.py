"""Opens the file that session records live in."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AsyncExitStack, ExitStack, closing
from pathlib import Path

import structlog
from langgraph.store.base import TTLConfig
from langgraph.store.sqlite import SqliteStore

SESSIONS_FILE = "sessions.sqlite"
MINUTES_PER_DAY = 24 * 60
BUSY_TIMEOUT_MS = 5_000
# The store asks for n keys by a statement of its own for each n, and each is kept with the keys it was last given: up
# to half a megabyte. Of Python's default, 128, a long day fills most.
STATEMENTS_KEPT = 16

log = structlog.get_logger(__name__)


class SessionStore(SqliteStore):
    """LangGraph's store, which also keeps to a bound."""

    def keep_newest(self, namespace: tuple[str, ...], most: int) -> None:
        """Delete all but the `most` records that were written last.

        Rowids tell the order, as a record that is written again gets a new one, and the index by namespace has them in
        that order: no record is read or sorted. Two megabytes to sort 20,000 left the heap larger time and again.
        """
        with self._cursor() as cursor:
            cursor.execute(
                "DELETE FROM store WHERE rowid IN"
                " (SELECT rowid FROM store WHERE prefix = ? ORDER BY rowid DESC LIMIT -1 OFFSET ?)",
                (".".join(namespace), most),
            )


async def open_session_store(
    folder: Path, stack: AsyncExitStack, *, expiry_days: float
) -> tuple[SessionStore | None, str | None]:
    """The store, closed with `stack`, or why there is none: without it the service answers, but remembers nothing."""
    ttl = TTLConfig(default_ttl=expiry_days * MINUTES_PER_DAY, refresh_on_read=True)
    try:
        opened, store = await asyncio.to_thread(_open, folder, ttl)
    except (OSError, sqlite3.Error) as error:
        note = f"{folder} cannot be written ({error}): set VECTOR_STORE_PATH to a folder that can."
        log.warning("no session is remembered", reason=note)
        return None, note
    stack.push_async_callback(asyncio.to_thread, opened.close)
    return store, None


def _open(folder: Path, ttl: TTLConfig) -> tuple[ExitStack, SessionStore]:
    """Written ahead (WAL), so that reading waits for no writer, also one of another process."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        connection = stack.enter_context(closing(_connect(folder / SESSIONS_FILE)))
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        store = SessionStore(connection, ttl=ttl)
        store.setup()
        stack.callback(store.stop_ttl_sweeper)
        store.start_ttl_sweeper()
        return stack.pop_all(), store


def _connect(file: Path) -> sqlite3.Connection:
    """As the store would: it locks what its threads do, and begins and ends transactions itself."""
    return sqlite3.connect(file, check_same_thread=False, isolation_level=None, cached_statements=STATEMENTS_KEPT)

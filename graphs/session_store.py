"""Opens the file that session records live in."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import structlog
from langgraph.store.base import TTLConfig
from langgraph.store.sqlite import SqliteStore

SESSIONS_FILE = "sessions.sqlite"
MINUTES_PER_DAY = 24 * 60
BUSY_TIMEOUT_MS = 5_000

log = structlog.get_logger(__name__)


async def open_session_store(
    folder: Path, stack: AsyncExitStack, *, expiry_days: float
) -> tuple[SqliteStore | None, str | None]:
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


def _open(folder: Path, ttl: TTLConfig) -> tuple[ExitStack, SqliteStore]:
    """Written ahead (WAL), so that reading waits for no writer, also one of another process."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        store = stack.enter_context(SqliteStore.from_conn_string(str(folder / SESSIONS_FILE), ttl=ttl))
        store.conn.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        store.conn.execute("PRAGMA journal_mode=WAL")
        store.conn.execute("PRAGMA synchronous=NORMAL")
        store.setup()
        stack.callback(store.stop_ttl_sweeper)
        store.start_ttl_sweeper()
        return stack.pop_all(), store

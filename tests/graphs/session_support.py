"""A store on disk, and what stands in it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from langgraph.store.base import Op, TTLConfig
from langgraph.store.memory import InMemoryStore

from graphs.session_store import SessionStore
from graphs.sessions import Sessions

DAYS_14 = 14 * 24 * 60.0


SECRET = "the user's own words"


@asynccontextmanager
async def opened(file: Path, ttl_minutes: float = DAYS_14) -> AsyncIterator[SessionStore]:
    ttl = TTLConfig(default_ttl=ttl_minutes, refresh_on_read=True)
    with SessionStore.from_conn_string(str(file), ttl=ttl) as store:
        assert isinstance(store, SessionStore)
        store.setup()
        yield store


def found(sessions: Sessions, chain: list[str]) -> str | None:
    return sessions.find(chain).conversation


def rows(file: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(file)
    try:
        return connection.execute("SELECT prefix, key, value, expires_at, ttl_minutes FROM store").fetchall()
    finally:
        connection.close()


class BrokenStore(InMemoryStore):
    """Fails as a full or damaged disk does."""

    def batch(self, ops: Iterable[Op]) -> list[Any]:
        raise sqlite3.OperationalError("disk I/O error")

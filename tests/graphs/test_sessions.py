from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langgraph.store.base import BaseStore, Op, TTLConfig
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite import AsyncSqliteStore
from structlog.testing import capture_logs

from chains.conversation import fingerprints
from chains.turn import Turn
from graphs.sessions import MAX_PREFIXES, Sessions
from tests.graphs.graph_support import WORKSPACE, FakeMemory, FakeModels, deps, passage, run, says

DAYS_14 = 14 * 24 * 60.0
SECRET = "the user's own words"


@asynccontextmanager
async def opened(file: Path, ttl_minutes: float = DAYS_14) -> AsyncIterator[AsyncSqliteStore]:
    ttl = TTLConfig(default_ttl=ttl_minutes, refresh_on_read=True)
    async with AsyncSqliteStore.from_conn_string(str(file), ttl=ttl) as store:
        await store.setup()
        yield store


def rows(file: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(file)
    try:
        return connection.execute("SELECT prefix, key, value, expires_at, ttl_minutes FROM store").fetchall()
    finally:
        connection.close()


async def test_nothing_is_kept_without_a_store() -> None:
    sessions = Sessions(None)
    await sessions.keep_block("a", "block")
    await sessions.keep_conversation("a", {"conversation": "c"})
    assert await sessions.blocks_of(["a"]) == {}
    assert await sessions.conversation_of(["a"]) is None


async def test_records_survive_reopening(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.sqlite") as store:
        await Sessions(store).keep_block("a", "block \u2028 ü")
        await Sessions(store).keep_block("b", "")
        await Sessions(store).keep_conversation("a", {"conversation": "c1", "role": "memory_fast"})
    async with opened(tmp_path / "s.sqlite") as store:
        assert await Sessions(store).blocks_of(["x", "b", "a"]) == {"a": "block \u2028 ü", "b": ""}
        assert await Sessions(store).conversation_of(["a", "later"]) == "c1"
        assert await Sessions(store).conversation_of([]) is None


async def test_the_longest_known_prefix_names_the_conversation() -> None:
    sessions = Sessions(InMemoryStore())
    await sessions.keep_conversation("1", {"conversation": "short"})
    await sessions.keep_conversation("3", {"conversation": "long"})
    assert await sessions.conversation_of(["1", "2", "3", "4"]) == "long"
    assert await sessions.conversation_of(["1", "2"]) == "short"
    assert await sessions.conversation_of(["0"]) is None


async def test_only_the_newest_prefixes_are_looked_up() -> None:
    sessions = Sessions(InMemoryStore())
    chain = [str(number) for number in range(MAX_PREFIXES + 50)]
    await sessions.keep_conversation("49", {"conversation": "too old"})
    assert await sessions.conversation_of(chain) is None
    await sessions.keep_conversation("50", {"conversation": "in reach"})
    assert await sessions.conversation_of(chain) == "in reach"


async def test_records_expire(tmp_path: Path) -> None:
    """They did not: a batch of puts is written without the store's default, and stayed for ever."""
    file = tmp_path / "s.sqlite"
    async with opened(file) as store:
        await Sessions(store).keep_block("a", "block")
        await Sessions(store).keep_conversation("a", {"conversation": "c"})
    assert [(ttl, expires is not None) for *_, expires, ttl in rows(file)] == [(DAYS_14, True)] * 2
    async with opened(file, ttl_minutes=-60 * 48) as store:
        await Sessions(store).keep_block("old", "block")
        assert await store.sweep_ttl() == 1
        assert await Sessions(store).blocks_of(["a", "old"]) == {"a": "block"}


async def test_reading_puts_off_expiry(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    async with opened(file) as store:
        await Sessions(store).keep_block("a", "block")
    connection = sqlite3.connect(file)
    connection.execute("UPDATE store SET expires_at = '2001-01-01 00:00:00'")
    connection.commit()
    connection.close()
    async with opened(file) as store:
        assert await Sessions(store).blocks_of(["a"]) == {"a": "block"}
        assert await store.sweep_ttl() == 0


class BrokenStore(InMemoryStore):
    """Fails as a full or damaged disk does."""

    async def abatch(self, ops: Iterable[Op]) -> list[Any]:
        raise sqlite3.OperationalError("disk I/O error")


async def test_a_broken_store_is_reported_and_does_without() -> None:
    sessions = Sessions(BrokenStore())
    with capture_logs() as logs:
        await sessions.keep_block("a", SECRET)
        await sessions.keep_conversation("a", {"conversation": SECRET})
        assert await sessions.blocks_of(["a"]) == {}
        assert await sessions.conversation_of(["a"]) is None
    assert [entry["event"] for entry in logs] == ["session store cannot be written"] * 2 + [
        "session store cannot be read"
    ] * 2
    assert all(entry["log_level"] == "warning" and entry["error"] == "OperationalError" for entry in logs)
    assert SECRET not in str(logs)


async def test_a_damaged_file_is_not_fatal(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.sqlite") as store:
        await store.conn.execute("DROP TABLE store")
        sessions = Sessions(store)
        await sessions.keep_block("a", "block")
        assert await sessions.blocks_of(["a"]) == {}


async def test_a_run_with_a_broken_store_answers_all_the_same() -> None:
    memory = FakeMemory((passage("Tide gauges."),))
    state = await run(turn("where are we?"), deps(FakeModels(says("x")), memory, BrokenStore()))
    assert state["answer"].text == "x"
    assert state["sources"] == ["memory-bank/progress.md"]


def turn(*texts: str, session: str | None = None) -> Turn:
    """A conversation's newest request: system text, then person and model in turn."""
    kinds = (HumanMessage, AIMessage)
    messages = [SystemMessage("s"), *(kinds[place % 2](text) for place, text in enumerate(texts))]
    made = Turn.of_messages(messages, workspace=WORKSPACE)
    return Turn(
        messages=made.messages,
        person_text=made.person_text,
        person_index=made.person_index,
        workspace=WORKSPACE,
        session=session,
    )


async def conversation(store: BaseStore | None, made: Turn) -> str:
    return str(
        (await run(made, deps(FakeModels(says("x")), FakeMemory((passage("Tide gauges."),)), store)))["conversation"]
    )


async def test_a_conversation_is_known_again_as_it_grows(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.sqlite") as store:
        context = deps(FakeModels(says("x")), store=store)
        await run(turn("an earlier one"), context)
        first = (await run(turn("hello"), context))["conversation"]
    async with opened(tmp_path / "s.sqlite") as store:
        context = deps(FakeModels(says("x")), store=store)
        second = (await run(turn("hello", "x", "go on"), context))["conversation"]
        fork = (await run(turn("hello", "other answer", "go on"), context))["conversation"]
        third = (await run(turn("hello", "x", "go on", "y", "more"), context))["conversation"]
        unrelated = (await run(turn("something else"), context))["conversation"]
    assert first == second == third == fork
    assert unrelated != first


async def test_a_named_session_wins() -> None:
    store = InMemoryStore()
    assert await conversation(store, turn("hello", session="mine")) == "mine"
    assert await conversation(store, turn("hello", "x", "go on")) == "mine"
    assert await conversation(store, turn("hello", "x", "go on", session="other")) == "other"


async def test_what_is_kept_holds_no_words_of_the_conversation(tmp_path: Path) -> None:
    made = turn(SECRET, f"answer to {SECRET}", f"where is {SECRET}?")
    async with opened(tmp_path / "s.sqlite") as store:
        await conversation(store, made)
    kept = rows(tmp_path / "s.sqlite")
    chain = fingerprints(made.messages, place=str(made.workspace))
    assert {(prefix, key) for prefix, key, *_ in kept} == {("conversations", chain[-1]), ("blocks", chain[-1])}
    assert SECRET not in str(kept)
    files = [path.read_bytes() for path in tmp_path.iterdir()]  # noqa: ASYNC240 - nothing else runs
    assert not any(SECRET.encode() in content for content in files)


async def test_the_record_of_a_conversation() -> None:
    store = InMemoryStore()
    await conversation(store, turn("fix the bug"))
    (item,) = await store.asearch(("conversations",))
    assert item.value == {
        "conversation": "call_1",
        "role": "implementation",
        "model": "qwen2.5-coder:32b",
        "reason": "rule 'changing code' matched",
    }


@pytest.mark.parametrize("count", [1, MAX_PREFIXES, 3 * MAX_PREFIXES])
async def test_long_conversations_fit_one_query(tmp_path: Path, count: int) -> None:
    async with opened(tmp_path / "s.sqlite") as store:
        keys = [str(number) for number in range(count)]
        await Sessions(store).keep_block(keys[-1], "block")
        assert await Sessions(store).blocks_of(keys) == {keys[-1]: "block"}
        assert await Sessions(store).conversation_of(keys) is None

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.store.base import BaseStore, Op, SearchOp, TTLConfig
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite import SqliteStore
from structlog.testing import capture_logs

from chains.compose import memory_block
from chains.conversation import (
    digest_of,
    digests,
    fingerprints,
    followed_by,
    loose_fingerprints,
    loosely_followed_by,
    session_key,
    standing_key,
)
from chains.turn import Turn
from graphs.session_store import SESSIONS_FILE, open_session_store
from graphs.sessions import MAX_PREFIXES, TRIM_AT_LEAST, Sessions
from tests.graphs.graph_support import WORKSPACE, FakeMemory, FakeModels, deps, passage, run, says

DAYS_14 = 14 * 24 * 60.0
SECRET = "the user's own words"
NOTE = passage("Tide gauges.")


@asynccontextmanager
async def opened(file: Path, ttl_minutes: float = DAYS_14) -> AsyncIterator[SqliteStore]:
    ttl = TTLConfig(default_ttl=ttl_minutes, refresh_on_read=True)
    with SqliteStore.from_conn_string(str(file), ttl=ttl) as store:
        store.setup()
        yield store


async def found(sessions: Sessions, chain: list[str]) -> str | None:
    return (await sessions.find(chain)).conversation


def rows(file: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(file)
    try:
        return connection.execute("SELECT prefix, key, value, expires_at, ttl_minutes FROM store").fetchall()
    finally:
        connection.close()


def make_older(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE store SET updated_at = datetime(updated_at, '-1 hour')")


async def test_nothing_is_kept_without_a_store() -> None:
    sessions = Sessions(None)
    await sessions.keep_block("block", ["a"])
    await sessions.keep_conversation(["a"], {"conversation": "c"})
    assert await sessions.blocks_of(["a"]) == {}
    assert await found(sessions, ["a"]) is None


async def test_records_survive_reopening(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.sqlite") as store:
        await Sessions(store).keep_block("block \u2028 ü", ["a"])
        await Sessions(store).keep_block("", ["b"])
        await Sessions(store).keep_conversation(["a"], {"conversation": "c1", "role": "memory_fast"})
    async with opened(tmp_path / "s.sqlite") as store:
        assert await Sessions(store).blocks_of(["x", "b", "a"]) == {"a": "block \u2028 ü", "b": ""}
        assert await found(Sessions(store), ["a", "later"]) == "c1"
        assert await found(Sessions(store), []) is None


async def test_the_longest_known_prefix_names_the_conversation() -> None:
    sessions = Sessions(InMemoryStore())
    await sessions.keep_conversation(["1"], {"conversation": "short"})
    await sessions.keep_conversation(["3"], {"conversation": "long"})
    assert await found(sessions, ["1", "2", "3", "4"]) == "long"
    assert await found(sessions, ["1", "2"]) == "short"
    assert await found(sessions, ["0"]) is None


async def test_only_the_newest_prefixes_are_looked_up() -> None:
    sessions = Sessions(InMemoryStore())
    chain = [str(number) for number in range(MAX_PREFIXES + 50)]
    await sessions.keep_conversation(["49"], {"conversation": "too old"})
    assert await found(sessions, chain) is None
    await sessions.keep_conversation(["50"], {"conversation": "in reach"})
    assert await found(sessions, chain) == "in reach"


async def test_records_expire(tmp_path: Path) -> None:
    """They did not: a batch of puts is written without the store's default, and stayed for ever."""
    file = tmp_path / "s.sqlite"
    async with opened(file) as store:
        await Sessions(store).keep_block("block", ["a"])
        await Sessions(store).keep_conversation(["a"], {"conversation": "c"})
    assert [(ttl, expires is not None) for *_, expires, ttl in rows(file)] == [(DAYS_14, True)] * 3
    async with opened(file, ttl_minutes=-60 * 48) as store:
        await Sessions(store).keep_block("another", ["old"])
        assert store.sweep_ttl() == 2
        assert await Sessions(store).blocks_of(["a", "old"]) == {"a": "block"}


async def test_reading_puts_off_expiry(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    async with opened(file) as store:
        await Sessions(store).keep_block("block", ["a"])
    connection = sqlite3.connect(file)
    connection.execute("UPDATE store SET expires_at = '2001-01-01 00:00:00'")
    connection.commit()
    connection.close()
    async with opened(file) as store:
        assert await Sessions(store).blocks_of(["a"]) == {"a": "block"}
        assert store.sweep_ttl() == 0


class BrokenStore(InMemoryStore):
    """Fails as a full or damaged disk does."""

    def batch(self, ops: Iterable[Op]) -> list[Any]:
        raise sqlite3.OperationalError("disk I/O error")


async def test_a_broken_store_is_reported_and_does_without() -> None:
    sessions = Sessions(BrokenStore())
    with capture_logs() as logs:
        await sessions.keep_block(SECRET, ["a"])
        await sessions.keep_conversation(["a"], {"conversation": SECRET})
        assert await sessions.blocks_of(["a"]) == {}
        assert await found(sessions, ["a"]) is None
    reading, writing = "session store cannot be read", "session store cannot be written"
    assert [entry["event"] for entry in logs] == [writing, writing, reading, reading]
    assert all(entry["log_level"] == "warning" and entry["error"] == "OperationalError" for entry in logs)
    assert SECRET not in str(logs)


async def test_a_damaged_file_is_not_fatal(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.sqlite") as store:
        store.conn.execute("DROP TABLE store")
        sessions = Sessions(store)
        await sessions.keep_block("block", ["a"])
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
    return str((await run(made, deps(FakeModels(says("x")), FakeMemory((NOTE,)), store)))["conversation"])


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
    loose = loose_fingerprints(made.messages, digests(made.messages), place=str(made.workspace))
    answered = followed_by(chain[-1], AIMessage("x"))
    named = session_key("call_1", place=str(WORKSPACE))
    assert {(prefix, key) for prefix, key, *_ in kept} == {
        ("conversations", chain[-1]),
        ("conversations", answered),
        ("conversations", loosely_followed_by(loose[-1], AIMessage("x"))),
        ("conversations", named),
        ("blocks", chain[-1]),
        ("blocks", standing_key(named, *reversed(digests(made.messages)[-2:]))),
        ("blocks", standing_key(named, digests(made.messages)[-1], "")),
        ("blocks", digest_of(memory_block((NOTE,)))),
    }
    assert SECRET not in str(kept)
    files = [path.read_bytes() for path in tmp_path.iterdir()]  # noqa: ASYNC240 - nothing else runs
    assert not any(SECRET.encode() in content for content in files)


async def test_the_record_of_a_conversation() -> None:
    store = InMemoryStore()
    await conversation(store, turn("fix the bug"))
    last = await store.aget(("conversations",), session_key("call_1", place=str(WORKSPACE)))
    request, answered, loose = (each for each in await store.asearch(("conversations",)) if "prompt" not in each.value)
    assert last is not None
    assert [len(piece) for piece in last.value.pop("prompt")] == [3, 3, 3]
    assert request.value == answered.value == loose.value
    assert request.value.pop("blocks") == {"1": digest_of(memory_block((NOTE,)))}
    assert last.value.pop("counted") == 9
    assert last.value == request.value
    assert request.value.pop("prompt_tokens") > 0
    assert request.value == {
        "conversation": "call_1",
        "role": "implementation",
        "model": "qwen2.5-coder:32b",
        "reason": "the classifier finds implementation (0.90)",
        "mode": "none",
    }


@pytest.mark.parametrize("count", [1, MAX_PREFIXES, 3 * MAX_PREFIXES])
async def test_long_conversations_fit_one_query(tmp_path: Path, count: int) -> None:
    async with opened(tmp_path / "s.sqlite") as store:
        keys = [str(number) for number in range(count)]
        await Sessions(store).keep_block("block", [keys[-1]])
        assert await Sessions(store).blocks_of(keys) == {keys[-1]: "block"}
        assert await found(Sessions(store), keys) is None


_ids = count(1)


async def known(store: BaseStore, made: Turn, answer: str = "x") -> str:
    return str(
        (await run(made, deps(FakeModels(says(answer)), store=store, new_id=lambda: f"id_{next(_ids)}")))[
            "conversation"
        ]
    )


async def test_two_tasks_with_the_same_first_words_are_two_conversations() -> None:
    store = InMemoryStore()
    one = await known(store, turn("fix it"), "first answer")
    other = await known(store, turn("fix it"), "second answer")
    assert one != other
    assert await known(store, turn("fix it", "first answer", "and now?")) == one
    assert await known(store, turn("fix it", "second answer", "and now?")) == other
    stranger = await known(store, turn("fix it", "an answer nobody gave", "and now?"))
    assert stranger not in {one, other}


async def test_concurrent_tasks_with_the_same_first_words_are_kept_apart(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.sqlite") as store:
        answers = [f"answer {number}" for number in range(8)]
        ids = await asyncio.gather(*(known(store, turn("fix it"), answer) for answer in answers))
        assert len(set(ids)) == len(ids)
        again = await asyncio.gather(*(known(store, turn("fix it", answer, "go on")) for answer in answers))
        assert again == ids


async def test_two_that_are_the_same_to_the_last_byte_are_nobodys_but_keep_their_role() -> None:
    store = InMemoryStore()
    one, other = await known(store, turn("fix it")), await known(store, turn("fix it"))
    sessions = Sessions(store)
    chain = fingerprints([*turn("fix it").messages, AIMessage("x")], place=str(WORKSPACE))
    found_ = await sessions.find(chain)
    assert found_.conversation is None
    assert found_.held is not None
    assert found_.held.role == "implementation"
    assert await known(store, turn("fix it", "x", "go on")) not in {one, other}


async def test_a_history_that_was_edited_goes_on_from_its_longest_known_part() -> None:
    store = InMemoryStore()
    first = await known(store, turn("fix it"), "a")
    await known(store, turn("fix it", "a", "now test it"), "b")
    assert await known(store, turn("fix it", "a", "no, document it")) == first
    assert await known(store, turn("fix all of it", "a", "now test it")) != first


async def test_a_compacted_conversation_is_a_new_one() -> None:
    store = InMemoryStore()
    first = await known(store, turn("fix it"), "a")
    compacted = await known(store, turn("Context summary: it was fixed", "I see", "go on"))
    assert compacted != first
    assert await known(store, turn("Context summary: something else", "I see", "go on")) not in {first, compacted}


async def test_sub_agents_with_prompts_of_their_own_are_conversations_of_their_own() -> None:
    store = InMemoryStore()
    parent = turn("fix it")
    agents = [replace(parent, messages=(SystemMessage(f"agent {n}"), *parent.messages[1:])) for n in range(3)]
    ids = await asyncio.gather(*(known(store, each) for each in (parent, *agents)))
    assert len(set(ids)) == 4


async def test_a_named_session_survives_compaction_and_edits() -> None:
    store = InMemoryStore()
    await run(replace(turn("where are we?"), session="mine"), deps(FakeModels(says("x")), store=store))
    compacted = replace(turn("Context summary: …", "ok", "continue"), session="mine")
    state = await run(compacted, deps(FakeModels(says("x")), store=store))
    assert (state["conversation"], state["decision"].role, state["decision"].step) == (
        "mine",
        "memory_fast",
        "follow_up",
    )


async def test_named_sessions_do_not_read_each_others_records() -> None:
    store = InMemoryStore()
    for session, role in (("one", "memory_fast"), ("two", "memory_analysis")):
        await run(replace(turn("hello"), session=session, model=role), deps(FakeModels(says("x")), store=store))
    for session, role in (("one", "memory_fast"), ("two", "memory_analysis")):
        made = replace(turn("hello", "x", "continue"), session=session)
        assert (await run(made, deps(FakeModels(says("x")), store=store)))["decision"].role == role
    elsewhere = replace(turn("hello", "x", "continue"), session="one", workspace=Path("other"))
    assert (await run(elsewhere, deps(FakeModels(says("x")), store=store)))["decision"].step != "follow_up"


async def test_the_lock_survives_a_restart(tmp_path: Path) -> None:
    asked = HumanMessage("where are we?")
    said = AIMessage("", tool_calls=[{"type": "tool_call", "id": "1", "name": "f", "args": {}}])
    async with opened(tmp_path / "s.sqlite") as store:
        await run(Turn.of_messages([asked]), deps(FakeModels(says("x")), store=store))
    async with opened(tmp_path / "s.sqlite") as store:
        made = Turn.of_messages([asked, said, ToolMessage("42", tool_call_id="1")])
        state = await run(made, deps(FakeModels(says("x")), store=store))
    assert (state["decision"].role, state["decision"].step) == ("memory_fast", "lock")


async def test_the_oldest_records_beyond_the_bound_are_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.sqlite") as store:
        sessions = Sessions(store, max_records=100)
        await sessions.keep_conversation(["c0"], {"conversation": "c"})
        await sessions.keep_block("block", ["b0"])
        make_older(tmp_path / "s.sqlite")  # records are ordered by the second that they were written in
        for number in range(1, 160):
            await sessions.keep_conversation([f"c{number}"], {"conversation": "c"})
            await sessions.keep_block("block", [f"b{number}"])
        assert await found(sessions, ["c159"]) == "c"
        assert await found(sessions, ["c0"]) is None
        assert await sessions.blocks_of(["b0", "b159"]) == {"b159": "block"}
    kept = [prefix for prefix, *_ in rows(tmp_path / "s.sqlite")]
    assert all(100 <= kept.count(prefix) <= 100 + TRIM_AT_LEAST for prefix in ("conversations", "blocks"))


class CountingStore(InMemoryStore):
    """Counts the searches of a trim, each of which reads all records of an SQLite file."""

    searches = 0

    def batch(self, ops: Iterable[Op]) -> list[Any]:
        ops = list(ops)
        self.searches += sum(isinstance(op, SearchOp) for op in ops)
        return super().batch(ops)


async def test_a_full_store_is_trimmed_after_a_twentieth_more() -> None:
    """At the bound, every fiftieth record held the store for 0.4 s to look for the oldest."""
    store = CountingStore()
    sessions = Sessions(store, max_records=2_000)
    for number in range(10, 2_510, 10):
        await sessions.keep_conversation([f"c{number - each}" for each in range(10)], {"conversation": "c"})
        if number >= 2_000 and number % 50 == 0:
            kept = len(await store.asearch(("conversations",), limit=10_000))
            assert 2_000 <= kept <= 2_000 + sessions.trimmed_after == 2_100
    assert store.searches <= 2 * (2_500 / sessions.trimmed_after + 1) + 10


async def test_looking_without_touching_leaves_the_expiry(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    async with opened(file) as store:
        await Sessions(store).keep_conversation(["a"], {"conversation": "c"})
        before = rows(file)
        await asyncio.sleep(1.1)
        await Sessions(store).find(["a"], touch=False)
        assert rows(file) == before
        await Sessions(store).find(["a"])
        assert rows(file) != before


async def test_the_store_writes_ahead_and_survives_many_writers(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        stores = [(await open_session_store(tmp_path, stack, expiry_days=1))[0] for _ in range(2)]
        assert (tmp_path / f"{SESSIONS_FILE}-wal").exists()
        writes = (Sessions(stores[n % 2]).keep_conversation([f"k{n}"], {"conversation": str(n)}) for n in range(60))
        await asyncio.gather(*writes)
        names = [await found(Sessions(stores[0]), [f"k{n}"]) for n in range(60)]
    assert names == [str(n) for n in range(60)]


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    async with AsyncExitStack() as stack:
        store, note = await open_session_store(tmp_path / "file", stack, expiry_days=1)
    assert store is None
    assert note is not None
    assert "VECTOR_STORE_PATH" in note

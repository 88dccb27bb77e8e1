from __future__ import annotations

import _sqlite3
import asyncio
import ctypes
import sqlite3
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from langgraph.store.base import PutOp
from langgraph.store.memory import InMemoryStore
from structlog.testing import capture_logs

from chains.conversation import digest_of
from graphs.session_store import SESSIONS_FILE, SessionStore, open_session_store
from graphs.sessions import MAX_PREFIXES, TRIM_AT_LEAST, Sessions
from tests.graphs.session_support import DAYS_14, SECRET, BrokenStore, found, opened, rows


async def test_nothing_is_kept_without_a_store() -> None:
    sessions = Sessions(None)
    await sessions.keep_block("block", ["a"])
    await sessions.keep_conversation(["a"], {"conversation": "c"})
    assert await sessions.blocks_of(["a"]) == {}
    assert found(sessions, ["a"]) is None


async def test_records_survive_reopening(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.sqlite") as store:
        await Sessions(store).keep_block("block \u2028 ü", ["a"])
        await Sessions(store).keep_block("", ["b"])
        await Sessions(store).keep_conversation(["a"], {"conversation": "c1", "role": "memory_fast"})
    async with opened(tmp_path / "s.sqlite") as store:
        assert await Sessions(store).blocks_of(["x", "b", "a"]) == {"a": "block \u2028 ü", "b": ""}
        assert found(Sessions(store), ["a", "later"]) == "c1"
        assert found(Sessions(store), []) is None


async def test_the_longest_known_prefix_names_the_conversation() -> None:
    sessions = Sessions(InMemoryStore())
    await sessions.keep_conversation(["1"], {"conversation": "short"})
    await sessions.keep_conversation(["3"], {"conversation": "long"})
    assert found(sessions, ["1", "2", "3", "4"]) == "long"
    assert found(sessions, ["1", "2"]) == "short"
    assert found(sessions, ["0"]) is None


async def test_only_the_newest_prefixes_are_looked_up() -> None:
    sessions = Sessions(InMemoryStore())
    chain = [str(number) for number in range(MAX_PREFIXES + 50)]
    await sessions.keep_conversation(["49"], {"conversation": "too old"})
    assert found(sessions, chain) is None
    await sessions.keep_conversation(["50"], {"conversation": "in reach"})
    assert found(sessions, chain) == "in reach"


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


async def test_a_broken_store_is_reported_and_does_without() -> None:
    sessions = Sessions(BrokenStore())
    with capture_logs() as logs:
        await sessions.keep_block(SECRET, ["a"])
        await sessions.keep_conversation(["a"], {"conversation": SECRET})
        assert await sessions.blocks_of(["a"]) == {}
        assert found(sessions, ["a"]) is None
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


@pytest.mark.parametrize("count", [1, MAX_PREFIXES, 3 * MAX_PREFIXES])
async def test_long_conversations_fit_one_query(tmp_path: Path, count: int) -> None:
    async with opened(tmp_path / "s.sqlite") as store:
        keys = [str(number) for number in range(count)]
        await Sessions(store).keep_block("block", [keys[-1]])
        assert await Sessions(store).blocks_of(keys) == {keys[-1]: "block"}
        assert found(Sessions(store), keys) is None


async def test_the_oldest_records_beyond_the_bound_are_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.sqlite") as store:
        sessions = Sessions(store, max_records=100)
        await sessions.keep_conversation(["c0"], {"conversation": "c"})
        await sessions.keep_block("block", ["b0"])
        for number in range(1, 160):
            await sessions.keep_conversation([f"c{number}"], {"conversation": "c"})
            await sessions.keep_block("block", [f"b{number}"])
        assert found(sessions, ["c159"]) == "c"
        assert found(sessions, ["c0"]) is None
        assert await sessions.blocks_of(["b0", "b159"]) == {"b159": "block"}
    kept = [prefix for prefix, *_ in rows(tmp_path / "s.sqlite")]
    assert all(100 <= kept.count(prefix) <= 100 + TRIM_AT_LEAST for prefix in ("conversations", "blocks"))


async def test_a_full_store_is_trimmed_after_a_twentieth_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the bound, every fiftieth record held the store for 0.4 s to look for the oldest."""
    trims: list[int] = []
    keep_newest = SessionStore.keep_newest

    def counted(store: SessionStore, namespace: tuple[str, ...], most: int) -> None:
        trims.append(most)
        keep_newest(store, namespace, most)

    monkeypatch.setattr(SessionStore, "keep_newest", counted)
    async with opened(tmp_path / "s.sqlite") as store:
        sessions = Sessions(store, max_records=2_000)
        for number in range(10, 2_510, 10):
            await sessions.keep_conversation([f"c{number - each}" for each in range(10)], {"conversation": "c"})
            if number >= 2_000 and number % 50 == 0:
                kept = len(rows(tmp_path / "s.sqlite"))
                assert 2_000 <= kept <= 2_000 + sessions.trimmed_after == 2_100
    assert len(trims) <= 2 * (2_500 / sessions.trimmed_after + 1)


async def test_trimming_keeps_what_was_written_last(tmp_path: Path) -> None:
    """Within one second records had no order, and the newest could be deleted."""
    async with opened(tmp_path / "s.sqlite") as store:
        for key in ("again", "x", "b", "again", "a"):
            store.batch([PutOp(("blocks",), key, {"block": key}), PutOp(("conversations",), key, {})])
        store.keep_newest(("blocks",), 2)
        assert await Sessions(store).blocks_of(["again", "x", "b", "a"]) == {"again": "again", "a": "a"}
    assert len(rows(tmp_path / "s.sqlite")) == 2 + 4


async def test_trimming_neither_reads_nor_sorts_records(tmp_path: Path) -> None:
    """What was taken to read them, and then to sort them, stayed with the process: megabytes in ten minutes."""
    sqlite = ctypes.CDLL(_sqlite3.__file__)
    sqlite.sqlite3_memory_used.restype = sqlite.sqlite3_memory_highwater.restype = ctypes.c_int64
    async with opened(tmp_path / "s.sqlite") as store:
        store.batch([PutOp(("blocks",), f"{number:032x}", {"block": "x" * 2_000}) for number in range(4_000)])
        before = sqlite.sqlite3_memory_used()
        sqlite.sqlite3_memory_highwater(1)
        store.keep_newest(("blocks",), 3_000)
        assert sqlite.sqlite3_memory_highwater(0) - before < 300_000
    assert len(rows(tmp_path / "s.sqlite")) == 3_000


async def test_looking_without_touching_leaves_the_expiry(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    async with opened(file) as store:
        await Sessions(store).keep_block("block", [])
        blocks = {"blocks": {"0": digest_of("block")}}
        await Sessions(store).keep_conversation(["a"], {"conversation": "c", **blocks})
        before = rows(file)
        await asyncio.sleep(1.1)
        assert Sessions(store).find(["a"], touch=False).texts == {digest_of("block"): "block"}
        assert rows(file) == before
        Sessions(store).find(["a"])
        assert [row[0] for row in rows(file) if row not in before] == ["blocks"]


async def test_the_store_writes_ahead_and_survives_many_writers(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        stores = [(await open_session_store(tmp_path, stack, expiry_days=1))[0] for _ in range(2)]
        assert (tmp_path / f"{SESSIONS_FILE}-wal").exists()
        writes = (Sessions(stores[n % 2]).keep_conversation([f"k{n}"], {"conversation": str(n)}) for n in range(60))
        await asyncio.gather(*writes)
        names = [found(Sessions(stores[0]), [f"k{n}"]) for n in range(60)]
    assert names == [str(n) for n in range(60)]


async def test_conversations_of_all_lengths_cost_no_memory_that_stays(tmp_path: Path) -> None:
    """SQLite kept a statement for each number of keys, and for each number of records trimmed: 40 MB in some hours."""
    used = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used
    used.restype = ctypes.c_int64
    async with AsyncExitStack() as stack:
        store, _ = await open_session_store(tmp_path, stack, expiry_days=1)
        sessions = Sessions(store, max_records=1)
        chain = [f"{number:032x}" for number in range(200)]
        before = used()
        for length in range(1, len(chain), 2):
            sessions.find(chain[:length], loose=[key[::-1] for key in chain[:length]])
        for number in range(8):
            await sessions.keep_conversation(chain[: TRIM_AT_LEAST + number], {"conversation": "c"})
        kept_bytes = used() - before
    assert kept_bytes < 3_000_000


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    async with AsyncExitStack() as stack:
        store, note = await open_session_store(tmp_path / "file", stack, expiry_days=1)
    assert store is None
    assert note is not None
    assert "VECTOR_STORE_PATH" in note

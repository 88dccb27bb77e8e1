from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count
from pathlib import Path

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

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
from graphs.sessions import Sessions
from tests.graphs.graph_support import WORKSPACE, FakeMemory, FakeModels, deps, passage, run, says
from tests.graphs.session_support import SECRET, BrokenStore, opened, rows

NOTE = passage("Tide gauges.")


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


async def test_a_request_of_a_system_prompt_alone_begins_nobody_elses_conversation() -> None:
    """Every later task of that client's was taken for the same conversation, and kept its model."""
    store = InMemoryStore()
    begins = turn("fix it")
    alone = await known(store, Turn.of_messages(begins.messages[:1], workspace=WORKSPACE))
    assert await known(store, begins) != alone


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
    found_ = sessions.find(chain)
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

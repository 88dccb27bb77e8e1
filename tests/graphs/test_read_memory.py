from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.store.memory import InMemoryStore

from chains.compose import FENCE, memory_block
from chains.counting import count_text
from chains.events import Routed
from chains.turn import Sampling, Turn
from config.schema import ROLES
from config.settings import MemorySettings
from tests.chains.chain_support import person
from tests.graphs.graph_support import (
    WORKSPACE,
    FakeMemory,
    FakeModels,
    card,
    contents,
    deps,
    events_of,
    passage,
    run,
    says,
)

NOTES = (passage("The importer is slow.", heading="Open"), passage("Tide gauges.", "memory-bank/brief.md"))
BLOCK = memory_block(NOTES)
SOURCES = ["memory-bank/progress.md#Open", "memory-bank/brief.md"]
ASK = HumanMessage("where are we?")
CALL = AIMessage("", tool_calls=[{"id": "1", "name": "read_file", "args": {}}])
RESULT = ToolMessage("file text", tool_call_id="1")


def turn(*messages: BaseMessage, **changes: Any) -> Turn:
    """As a client's request is parsed: the last human message is the person's."""
    made = Turn.of_messages(messages, workspace=WORKSPACE)
    return replace(made, **changes)


class Conversation:
    """One client's requests to one service."""

    def __init__(
        self, memory: FakeMemory | None = None, settings: MemorySettings | None = None, window: int = 8192
    ) -> None:
        self.memory = memory or FakeMemory(NOTES)
        self.model = says("x")
        self.models = FakeModels(self.model, {role: card(role, window=window) for role in ROLES})
        self.context = deps(self.models, self.memory, InMemoryStore(), settings)

    async def send(self, made: Turn) -> dict[str, Any]:
        return await run(made, self.context)

    @property
    def last_sent(self) -> list[Any]:
        return contents(self.model.asked[-1])


async def test_a_persons_words_get_the_block_at_their_end() -> None:
    one = Conversation()
    state = await one.send(turn(SystemMessage("s"), ASK))
    assert one.memory.asked[0][:2] == (WORKSPACE, "where are we?")
    assert one.last_sent == ["s", f"where are we?\n\n{BLOCK}"]
    assert (state["blocks"], state["sources"], state["memory_note"]) == ({1: BLOCK}, SOURCES, None)
    assert state["ledger"].memory == count_text(BLOCK)
    assert ASK.content == "where are we?"


async def test_the_route_event_names_the_sources() -> None:
    one = Conversation()
    routed = (await events_of(turn(ASK), one.context))[0]
    assert isinstance(routed, Routed)
    assert routed.sources == tuple(SOURCES)
    assert routed.ledger.memory == count_text(BLOCK)


async def test_later_requests_get_the_same_bytes_and_no_new_block_in_a_tool_loop() -> None:
    one = Conversation()
    await one.send(turn(SystemMessage("s"), ASK))
    first = one.last_sent[:2]
    one.memory.passages = (passage("Something else."),)
    state = await one.send(turn(SystemMessage("s"), ASK, CALL, RESULT))
    assert one.last_sent[:2] == first
    assert one.last_sent[2:] == ["", "file text"]
    assert len(one.memory.asked) == 1
    assert state["sources"] == []
    assert state["ledger"].memory == count_text(BLOCK)


async def test_the_next_words_get_a_block_of_their_own() -> None:
    one = Conversation()
    await one.send(turn(ASK))
    one.memory.passages = (passage("Something else."),)
    state = await one.send(turn(ASK, AIMessage("x"), HumanMessage("what is next?")))
    other = memory_block(one.memory.passages)
    assert one.last_sent == [f"where are we?\n\n{BLOCK}", "x", f"what is next?\n\n{other}"]
    assert state["blocks"] == {0: BLOCK, 2: other}
    assert state["ledger"].memory == count_text(BLOCK) + count_text(other)


async def test_words_that_got_nothing_get_nothing_later() -> None:
    one = Conversation(FakeMemory(note="No bank here."))
    assert (await one.send(turn(ASK)))["memory_note"] == "No bank here."
    one.memory.passages = NOTES
    await one.send(turn(ASK, CALL, RESULT))
    assert one.last_sent[0] == "where are we?"


@pytest.mark.parametrize(
    "made",
    [
        turn(ASK, CALL, RESULT),
        turn(ASK, from_machine=True),
        turn(ASK, wants_memory=False),
        turn(SystemMessage("s"), HumanMessage("summary"), person_index=None, person_text=""),
        turn(HumanMessage("old words"), AIMessage("a"), HumanMessage("a machine's text"), person_index=0),
        turn(ASK, workspace=None),
    ],
    ids=["tool result", "machine", "not wanted", "compaction", "machine's text last", "no workspace"],
)
async def test_nobody_asks_nothing_is_read(made: Turn) -> None:
    one = Conversation()
    state = await one.send(made)
    assert one.memory.asked == []
    assert (state["blocks"], state["sources"], state["ledger"].memory) == ({}, [], 0)
    assert not any(FENCE in str(content) for content in one.last_sent)


async def test_memory_can_be_switched_off() -> None:
    one = Conversation(settings=MemorySettings(enabled=False))
    assert (await one.send(turn(ASK)))["blocks"] == {}
    assert one.memory.asked == []


async def test_the_default_workspace_is_for_requests_without_one() -> None:
    one = Conversation(settings=MemorySettings(default_workspace=WORKSPACE / "default"))
    await one.send(turn(ASK, workspace=None))
    await one.send(turn(ASK))
    assert [asked[0] for asked in one.memory.asked] == [WORKSPACE / "default", WORKSPACE]


async def test_a_workspace_may_be_a_text() -> None:
    one = Conversation()
    from tests.graphs.graph_support import GRAPH  # noqa: PLC0415

    await GRAPH.ainvoke({"messages": [ASK], "workspace": "workspace"}, context=one.context)
    assert one.memory.asked[0][0] == WORKSPACE


@pytest.mark.parametrize(
    ("settings", "window", "budget"),
    [
        (MemorySettings(budget_tokens=1000), 8192, 1000 - 64),
        (MemorySettings(budget_tokens=100_000, window_share=0.25), 8192, 2048 - 64),
        (MemorySettings(budget_tokens=100_000, window_share=0.9), 2048, None),
    ],
)
async def test_the_budget_is_the_least_of_setting_share_and_room(
    settings: MemorySettings, window: int, budget: int | None
) -> None:
    one = Conversation(settings=settings, window=window)
    state = await one.send(turn(ASK))
    room = window - state["ledger"].system - state["ledger"].history - state["ledger"].margin - 1024
    assert one.memory.asked[0][2] == (room - 64 if budget is None else budget)


async def test_no_room_means_no_memory_and_a_note() -> None:
    one = Conversation(settings=MemorySettings(budget_tokens=100))
    state = await one.send(turn(ASK))
    assert one.memory.asked == []
    assert state["memory_note"] == "The window has no room for memory."


async def test_a_block_is_never_larger_than_the_budget() -> None:
    """Each passage costs some tokens more than its own when it is quoted; with many small ones that adds up."""
    many = tuple(passage("x", f"memory-bank/{number}.md") for number in range(60))
    budget = sum(count_text(each.rendered) for each in many) + 64
    one = Conversation(FakeMemory(many), MemorySettings(budget_tokens=budget, window_share=0.9))
    state = await one.send(turn(ASK))
    assert 0 < count_text(state["blocks"][0]) <= budget
    assert len(state["sources"]) == state["blocks"][0].count("[memory-bank/")
    assert state["ledger"].left_out == tuple(f"{each.source}: no room" for each in many[len(state["sources"]) :])


async def test_kept_blocks_that_do_not_fit_are_left_out_newest_first_and_told() -> None:
    one = Conversation(FakeMemory((passage("tide " * 600),)), MemorySettings(window_share=0.9), window=8192)
    await one.send(turn(ASK))
    one.memory.passages = (passage("gauge " * 900),)
    await one.send(turn(ASK, AIMessage("x"), HumanMessage("what is next?")))
    long = ToolMessage("tide " * 6000, tool_call_id="1")
    state = await one.send(turn(ASK, AIMessage("x"), HumanMessage("what is next?"), CALL, long))
    assert list(state["blocks"]) == [0]
    assert state["ledger"].left_out == ("memory of message 2: the window has no room",)
    assert state["ledger"].prompt + state["ledger"].margin + state["ledger"].answer <= 8192
    assert state["ledger"].answer >= 256


async def test_the_reserved_answer_gives_way_to_kept_blocks() -> None:
    one = Conversation(FakeMemory((passage("tide " * 600),)), MemorySettings(window_share=0.9))
    await one.send(turn(ASK))
    long = ToolMessage("tide " * 6300, tool_call_id="1")
    state = await one.send(turn(ASK, CALL, long, sampling=Sampling(answer_limit_tokens=1000)))
    assert list(state["blocks"]) == [0]
    assert 256 <= state["ledger"].answer < 1000
    room = state["ledger"].window - state["ledger"].prompt
    assert one.model.calls[-1]["options"]["num_predict"] == min(1000, room)


async def test_another_conversation_gets_no_block_of_this_one() -> None:
    one = Conversation()
    await one.send(turn(SystemMessage("s"), ASK))
    await one.send(turn(SystemMessage("other"), ASK, CALL, RESULT))
    assert one.last_sent[1] == "where are we?"


async def test_images_and_words_get_the_block_as_a_part() -> None:
    one = Conversation()
    one.models.known = {role: card(role, vision=True) for role in ROLES}
    parts: list[str | dict[Any, Any]] = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:,"}},
    ]
    await one.send(turn(HumanMessage(parts)))
    assert one.last_sent == [[*parts, {"type": "text", "text": f"\n\n{BLOCK}"}]]


def texts(asked: Sequence[BaseMessage]) -> list[str]:
    return [str(message.text) for message in asked]


async def test_a_long_conversation_keeps_its_prefix() -> None:
    """What the model has read of a conversation is the same in every later request, message by message."""
    one = Conversation(window=100_000)
    messages: list[BaseMessage] = [SystemMessage("s")]
    before: list[str] = []
    for number in range(6):
        one.memory.passages = (passage(f"Note {number}."),)
        messages.append(HumanMessage(f"question {number}"))
        for extra in ([], [CALL, RESULT]):
            messages += extra
            await one.send(turn(*messages))
            sent = texts(one.model.asked[-1])
            assert sent[: len(before)] == before
            before = sent
        messages.append(AIMessage(f"answer {number}"))
    assert sum(FENCE in text for text in before) == 6


def test_person_is_a_turn_without_a_workspace() -> None:
    assert person("x").workspace is None

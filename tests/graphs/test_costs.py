"""What a request may cost, in counts that are the same on any machine; seconds are `benchmarks.overhead`'s to measure.

Each bound is what it takes now, with a little room for a library's next version. Who exceeds one has found a way to do
something twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage
from langgraph.store.base import TTLConfig
from langgraph.store.sqlite import SqliteStore
from tenacity import AsyncRetrying

from backends.chat_model import RouterChatOllama
from backends.ndjson import ChatTransport
from chains.events import Finished, RouterEvent
from chains.turn import Turn
from config.errors import BackendError
from config.schema import ROLES
from graphs.deps import Deps, Retries
from tests.graphs.graph_support import GRAPH, WORKSPACE, FakeMemory, FakeModels, card, deps, events_of, passage
from tests.support.calls import counted_calls
from tests.support.garbage import alive, nothing_collected

TOOLS = tuple(
    {"type": "function", "function": {"name": f"tool_{number}", "parameters": {"type": "object", "properties": {}}}}
    for number in range(25)
)
CHUNKS = 20
WINDOW_TOKENS = 1_000_000
STORE_BATCHES = 4
THREAD_HOPS = 2
CALLS_OF_A_TOOL_TURN = 5_100
CALLS_OF_A_CHUNK = 28


class Scripted(ChatTransport):
    """Says so many words, as Ollama does."""

    def __init__(self, words: int) -> None:
        self._words = words

    async def stream(
        self, body: Mapping[str, Any], *, prefill_s: float | None = None, call_s: float = 0.0
    ) -> AsyncGenerator[dict[str, Any], None]:
        for _ in range(self._words):
            yield {"message": {"role": "assistant", "content": "word "}, "done": False}
        counts = {"prompt_eval_count": WINDOW_TOKENS, "eval_count": self._words}
        yield {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop", **counts}


def speaking(words: int = CHUNKS) -> FakeModels:
    """The real chat model, in all roles, over a scripted transport."""
    model = RouterChatOllama(model="scripted", transport=Scripted(words))
    return FakeModels(model, {role: card(role, window=WINDOW_TOKENS) for role in ROLES})


@dataclass
class CountingEmbedder:
    """Gives every text the same vector and remembers the texts."""

    is_ready: bool = True
    asked: list[str] = field(default_factory=list)

    def embed_query(self, text: str) -> list[float]:
        self.asked.append(text)
        return [1.0]


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def context(tmp_path: Path, embedder: CountingEmbedder) -> Iterator[Deps]:
    """Everything on: sessions in a file, a memory, an embedder."""
    with SqliteStore.from_conn_string(str(tmp_path / "s.sqlite"), ttl=TTLConfig(default_ttl=60)) as store:
        store.setup()
        memory = FakeMemory((passage("The tide gauges are read hourly."),))
        yield deps(speaking(), memory, store, embedder=embedder)


def turn(*messages: BaseMessage) -> Turn:
    people = [index for index, message in enumerate(messages) if isinstance(message, HumanMessage)]
    return Turn(
        messages=(SystemMessage("Be brief. " * 200), *messages),
        person_text=str(messages[people[-1]].text),
        person_index=people[-1] + 1,
        from_machine=isinstance(messages[-1], ToolMessage),
        workspace=WORKSPACE,
        tools=TOOLS,
    )


def loop(rounds: int) -> list[BaseMessage]:
    """What a tool loop adds to a conversation."""
    messages: list[BaseMessage] = []
    for number in range(rounds):
        call = ToolCall(type="tool_call", id=f"c{number}", name="tool_1", args={"line": number})
        messages += [
            AIMessage("Let me look.", tool_calls=[call]),
            ToolMessage(f"line {number}", tool_call_id=call["id"]),
        ]
    return messages


QUESTION = HumanMessage("What do the gauges say about the harbour?")


async def calls_of(asked: Turn, context: Deps) -> Counter[str]:
    """As the service runs the graph, which takes the events directly."""
    # Threads are only counted if they begin now.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
    told: list[RouterEvent] = []
    with counted_calls() as calls:
        await GRAPH.ainvoke({"turn": asked}, context=replace(context, tell=told.append), stream_mode="updates")
    assert isinstance(told[-1], Finished)
    return calls


async def test_a_person_s_words_are_embedded_once(context: Deps, embedder: CountingEmbedder) -> None:
    await events_of(turn(QUESTION), context)
    assert embedder.asked == [QUESTION.text]


async def test_a_tool_turn_embeds_nothing_and_counts_only_what_is_new(
    context: Deps, embedder: CountingEmbedder
) -> None:
    await events_of(turn(QUESTION), context)
    await events_of(turn(QUESTION, *loop(20)), context)
    embedder.asked.clear()
    before = context.counts.counted
    calls = await calls_of(turn(QUESTION, *loop(21)), context)
    assert embedder.asked == []
    assert context.counts.counted - before == 2
    assert calls["count_text"] == 3, "the call's text and arguments, and the result"


async def test_a_tool_turn_goes_to_the_store_a_fixed_number_of_times(context: Deps) -> None:
    await events_of(turn(QUESTION), context)
    short = await calls_of(turn(QUESTION, *loop(2)), context)
    await events_of(turn(QUESTION, *loop(59)), context)
    long = await calls_of(turn(QUESTION, *loop(60)), context)
    assert short["SqliteStore.batch"] == long["SqliteStore.batch"] <= STORE_BATCHES
    assert short["_WorkItem.run"] == long["_WorkItem.run"] <= THREAD_HOPS


class BusyAtFirst(Scripted):
    """Refuses the first call in a way that may pass."""

    asked = 0

    async def stream(self, *call: Any, **limits: Any) -> AsyncGenerator[dict[str, Any], None]:
        self.asked += 1
        if self.asked == 1:
            raise BackendError("The model's server is busy: try again.", transient=True)
        async for chunk in super().stream(*call, **limits):
            yield chunk


@pytest.mark.parametrize(("transport", "made"), [(Scripted, 0), (BusyAtFirst, 1)])
async def test_what_makes_calls_anew_is_made_where_one_failed_and_is_no_garbage_then(
    transport: type[Scripted], made: int
) -> None:
    """It holds itself and, by the way events are told, the run."""
    model = RouterChatOllama(model="scripted", transport=transport(CHUNKS))
    context = deps(FakeModels(model), retries=Retries(times=1))
    with nothing_collected():
        before = alive(AsyncRetrying)
        with counted_calls() as counted:
            await events_of(turn(QUESTION), context)
        assert counted["BaseRetrying.__init__"] == made
        assert alive(AsyncRetrying) <= before


async def test_each_message_is_hashed_twice_a_request(context: Deps) -> None:
    """By itself, for its count, and along the conversation."""
    await events_of(turn(QUESTION), context)
    asked = turn(QUESTION, *loop(20))
    calls = await calls_of(asked, context)
    assert calls["_canonical"] <= 2 * (len(asked.messages) + 1), "the answer comes to it"


async def test_the_work_of_a_tool_turn_does_not_grow(context: Deps) -> None:
    await events_of(turn(QUESTION), context)
    await events_of(turn(QUESTION, *loop(1)), context)
    calls = await calls_of(turn(QUESTION, *loop(2)), context)
    assert calls.total() <= CALLS_OF_A_TOOL_TURN


async def test_work_grows_no_faster_than_the_conversation(context: Deps) -> None:
    await events_of(turn(QUESTION), context)
    totals = []
    for rounds in (50, 100, 200):
        await events_of(turn(QUESTION, *loop(rounds)), context)
        totals.append((await calls_of(turn(QUESTION, *loop(rounds + 1)), context)).total())
    assert totals[2] - totals[1] <= 2.2 * (totals[1] - totals[0])


async def test_a_further_chunk_costs_the_same_wherever_it_stands(context: Deps) -> None:
    await events_of(turn(QUESTION), context)  # what is loaded with the first request is there
    totals = []
    for chunks in (100, 200, 300):
        many = deps(speaking(chunks), store=context.sessions.store)
        totals.append((await calls_of(turn(QUESTION), many)).total())
    first, second = (after - before for before, after in pairwise(totals))
    assert first <= 100 * CALLS_OF_A_CHUNK
    assert second <= 1.1 * first

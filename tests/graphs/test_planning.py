from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langgraph.store.memory import InMemoryStore

from backends.types import ModelCard, Occupancy
from chains.arbiter import MAX_ANSWER_TOKENS, TRUST
from chains.turn import Turn
from config.errors import ContextTooLong, MemoryUnavailable, ModelBusy, UpstreamBroken
from config.schema import ROLES
from graphs.deps import Arbiter, Deps
from graphs.planning import plan
from tests.chains.chain_support import (
    DONE,
    NAMES,
    ChunkModel,
    Judged,
    WordClassifier,
    chunk,
    judged,
    model,
    person,
    router,
)
from tests.graphs.graph_support import GRAPH, WORKSPACE, FakeMemory, FakeModels, card, deps, occupied, run, says

FAST = NAMES["memory_fast"]
JOBS = {role: f"the job of {role}" for role in ROLES}
UNSURE = Judged({"memory_fast": 0.3, "implementation": 0.4, "memory_analysis": 0.3}, ("few words",), abstains=True)


@dataclass
class ByName(FakeModels):
    """A model of its own for each call, in order."""

    scripts: list[ChunkModel] = field(default_factory=list)
    used: list[ChunkModel] = field(default_factory=list)

    @asynccontextmanager
    async def lease(self, card: ModelCard) -> AsyncIterator[BaseChatModel]:
        async with super().lease(card):
            self.used.append(self.scripts.pop(0) if self.scripts else says("x"))
            yield self.used[-1]


def verdict(text: str) -> ChunkModel:
    return model(chunk(text), chunk(told=DONE))


def arbitrated(models: FakeModels, *, timeout_s: float = 4, **more: Any) -> Deps:
    asks = router(classifier=WordClassifier(answer=UNSURE))
    return deps(models, store=InMemoryStore(), router=asks, arbiter=Arbiter(JOBS, timeout_s), **more)


def by_name(*scripts: ChunkModel, **more: Any) -> ByName:
    return ByName(says("x"), scripts=list(scripts), **more)


async def test_the_arbiter_decides_where_the_classifier_abstains() -> None:
    models = by_name(verdict('{"role": "memory_analysis"}'))
    planned = await plan(person("hm, the thing"), arbitrated(models))
    decision = planned["decision"]
    assert (decision.role, decision.step, decision.confidence) == ("memory_analysis", "arbiter", TRUST)
    assert models.leased == models.freed == [FAST]
    (called,) = models.used[0].calls
    assert called["options"] == {**card("memory_fast").options, "temperature": 0, "num_predict": MAX_ANSWER_TOKENS}
    assert called["format"]["properties"]["role"]["enum"] == list(ROLES)
    asked = str(models.used[0].asked[0][0].content)
    assert "hm, the thing" in asked
    assert all(job in asked for job in JOBS.values())


async def test_no_token_of_the_arbiters_is_streamed() -> None:
    models = by_name(verdict('{"role": "memory_analysis"}'), says("the answer"))
    speakers: list[str] = []
    told: list[Any] = []
    event: Any
    async for kind, event in GRAPH.astream(
        {"turn": person("hm {braces} too")}, context=arbitrated(models), stream_mode=["messages", "custom"]
    ):
        if kind == "messages":
            speakers.append(event[1]["langgraph_node"])
        else:
            told.append(event)
    assert models.leased == [FAST, NAMES["memory_analysis"]]
    assert set(speakers) == {"analyse"}
    assert "role" not in str(told[1:])


@pytest.mark.parametrize("said", ["", "no JSON", '{"role": "nobody"}', '{"other": 1}', "[]", '{"role": '])
async def test_an_arbiter_that_makes_no_sense_leaves_the_best_guess(said: str) -> None:
    decision = (await plan(person("hm"), arbitrated(by_name(verdict(said)))))["decision"]
    assert (decision.step, decision.role) == ("classifier", "implementation") or said.endswith('analysis"')


@pytest.mark.parametrize("error", [UpstreamBroken("cut"), ModelBusy("queue")])
async def test_an_arbiter_that_fails_leaves_the_best_guess(error: Exception) -> None:
    models = by_name(model(error))
    decision = (await plan(person("hm"), arbitrated(models)))["decision"]
    assert (decision.step, decision.role) == ("classifier", "implementation")
    assert models.leased == models.freed


async def test_an_arbiter_that_takes_too_long_is_given_up() -> None:
    slow = model(asyncio.Event())
    models = by_name(slow)
    decision = (await plan(person("hm"), arbitrated(models, timeout_s=1)))["decision"]
    assert decision.step == "classifier"
    assert (slow.closed, models.freed) == ([True], [FAST])


@pytest.mark.parametrize(
    "found",
    [Occupancy(), occupied(NAMES["implementation"]), occupied(FAST, calls={FAST: 1})],
    ids=["unknown", "not loaded", "busy"],
)
async def test_the_arbiter_is_asked_only_if_it_is_loaded_and_free(found: Occupancy) -> None:
    models = by_name(occupied=found)
    assert (await plan(person("hm"), arbitrated(models)))["decision"].step == "classifier"
    assert models.leased == []


async def test_nobody_asks_an_arbiter_that_is_switched_off_nor_in_a_dry_run() -> None:
    models = by_name()
    off = deps(models, router=router(classifier=WordClassifier(answer=UNSURE)))
    assert (await plan(person("hm"), off))["decision"].step == "classifier"
    assert (await plan(person("hm"), arbitrated(models), dry=True))["decision"].step == "classifier"
    assert models.leased == []


@dataclass
class Embedder:
    is_ready: bool = True
    fails: bool = False
    asked: list[str] = field(default_factory=list)

    def embed_query(self, text: str) -> list[float]:
        self.asked.append(text)
        if self.fails:
            raise MemoryUnavailable("no model")
        return [1.0, 0.0]


async def test_the_words_are_embedded_once_for_classifier_and_memory() -> None:
    embedder, asks, memory = Embedder(), WordClassifier(), FakeMemory()
    context = deps(FakeModels(says("x")), memory, router=router(classifier=asks), embedder=embedder)
    await run(person("where are we?", workspace=WORKSPACE), context)
    assert embedder.asked == ["where are we?"]
    assert asks.asked == [("where are we?", [1.0, 0.0], None)]
    assert memory.vectors == [[1.0, 0.0]]


async def test_words_to_go_on_ask_for_what_was_asked_before() -> None:
    """Where nothing is known of a conversation, two texts were embedded, and memory looked for "continue"."""
    embedder, memory = Embedder(), FakeMemory()
    turn = person("continue", workspace=WORKSPACE, previous_text="where are we?")
    await run(turn, deps(FakeModels(says("x")), memory, embedder=embedder))
    assert embedder.asked == ["where are we?"]
    assert [(question, vector) for (_, question, _), vector in zip(memory.asked, memory.vectors, strict=True)] == [
        ("where are we?", [1.0, 0.0])
    ]


@pytest.mark.parametrize("embedder", [Embedder(is_ready=False), Embedder(fails=True)], ids=["loading", "failed"])
async def test_without_a_vector_words_have_to_do(embedder: Embedder) -> None:
    memory = FakeMemory()
    context = deps(FakeModels(says("x")), memory, embedder=embedder)
    assert (await run(person("where are we?", workspace=WORKSPACE), context))["decision"].role == "memory_fast"
    assert memory.vectors == [None]


async def test_nothing_is_embedded_where_nothing_is_weighed() -> None:
    embedder = Embedder()
    await plan(person("x", model="memory_fast"), deps(FakeModels(says("x")), embedder=embedder))
    assert embedder.asked == []


CALL = {"type": "tool_call", "id": "1", "name": "read_file", "args": {"path": "a"}}


def loop(*results: str) -> Turn:
    messages: list[Any] = [HumanMessage("where are we?")]
    for result in results:
        messages += [AIMessage("", tool_calls=[CALL]), ToolMessage(result, tool_call_id="1")]
    return Turn.of_messages(messages)


async def test_the_lock_holds_through_a_loop_whatever_is_decided_anew() -> None:
    store = InMemoryStore()
    first = await run(loop(), deps(FakeModels(says("x")), store=store))
    assert first["decision"].role == "memory_fast"
    changed = router(classifier=WordClassifier(answer=judged("memory_analysis")))
    for results in (("a",), ("a", "b"), ("a", "b", "c")):
        state = await run(loop(*results), deps(FakeModels(says("x")), store=store, router=changed))
        assert (state["decision"].role, state["decision"].step) == ("memory_fast", "lock")
        assert state["conversation"] == first["conversation"]


async def test_without_records_a_loop_hangs_on_nothing_but_its_words() -> None:
    for loaded in ((), NAMES.values()):
        state = await run(loop("a"), deps(FakeModels(says("x"), occupied=occupied(*loaded))))
        assert (state["decision"].role, state["decision"].step) == ("memory_fast", "classifier")


async def test_seconds_of_each_candidate() -> None:
    busy = occupied(FAST, calls={FAST: 2})
    decision = (await plan(person("where are we?"), deps(FakeModels(says("x"), occupied=busy))))["decision"]
    fast, code, deep = (candidate.expected for candidate in decision.candidates)
    assert fast is not None
    assert code is not None
    assert deep is not None
    assert [(each.load_s, each.queue_s) for each in (fast, code, deep)] == [(0, 12), (14, 0), (18, 0)]
    assert 0 < fast.prefill_s < code.prefill_s < deep.prefill_s < 1


async def test_a_dry_run_writes_nothing() -> None:
    store = InMemoryStore()
    await plan(loop(), deps(FakeModels(says("x")), store=store), dry=True)
    assert await store.asearch(()) == []


async def test_only_what_is_new_is_counted() -> None:
    """A long history is counted once; then each request counts its own tail."""
    context = deps(by_name(known={role: card(role, window=131_072) for role in ROLES}))
    messages: list[BaseMessage] = [HumanMessage("word " * 400 + str(number)) for number in range(200)]
    planned = await plan(Turn.of_messages(messages), context)
    assert context.counts.counted == 200
    for number in range(5):
        messages += [AIMessage(f"answer {number}"), HumanMessage(f"and {number}?")]
        before = context.counts.counted
        planned = await plan(Turn.of_messages(messages), context)
        assert context.counts.counted == before + 2
    assert planned["measured"].parts.history > 200 * 400


async def test_a_model_that_tells_its_own_count_is_believed() -> None:
    models = by_name(counts=lambda messages: 5000)
    ledger = (await plan(person("word " * 1000), deps(models)))["ledger"]
    assert (ledger.prompt, ledger.margin) == (5000, 0)
    models.counts = lambda messages: 7937
    with pytest.raises(ContextTooLong, match=r"maximum context length is 8192 tokens\. However, you requested 7937"):
        await plan(person("word " * 1000), deps(models))
    models.counts = lambda messages: 7936
    assert (await plan(person("word " * 1000), deps(models)))["ledger"].answer == 256


async def test_a_short_prompts_own_count_does_not_shrink_the_room_for_memory() -> None:
    """Its template outweighs it: four tokens of the model's for each of ours, which no text takes."""
    planned = await plan(person("hi"), deps(by_name(counts=lambda messages: 40)))
    assert planned["ledger"].prompt >= 40
    assert planned["correction"].factor == 1


async def test_where_one_model_plays_all_roles_nobody_is_asked_which() -> None:
    models = by_name(known={role: card(role, name=FAST) for role in ROLES})
    await plan(person("hm, the thing"), arbitrated(models))
    assert models.leased == []

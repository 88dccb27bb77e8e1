from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.graph import END, START
from langgraph.store.memory import InMemoryStore

from chains.events import Finished, Leased, ReasoningDelta, Routed, TextDelta, ToolCallMade, Usage
from chains.turn import Turn
from config.errors import (
    BackendUnavailable,
    BadRequest,
    ContextTooLong,
    ModelBusy,
    RouterError,
    UnknownModel,
    UpstreamBroken,
)
from config.schema import ROLES, Role
from graphs import build_router_graph
from graphs.edges import ANSWER_NODES, to_answer
from tests.chains.chain_support import DONE, IMAGE, TOOL, call, chunk, model, person
from tests.graphs.graph_support import GRAPH, FakeMemory, FakeModels, card, deps, events_of, run, says

ASKED: dict[Role, str] = {
    "memory_fast": "where are we?",
    "implementation": "fix the bug",
    "memory_analysis": "make a plan for it",
}


def test_nodes_and_edges_are_those_of_the_design() -> None:
    drawn = GRAPH.get_graph()
    assert set(drawn.nodes) == {START, "route", "read_memory", *ANSWER_NODES.values(), "remember", END}
    assert {(edge.source, edge.target, edge.conditional) for edge in drawn.edges} == {
        (START, "route", False),
        ("route", "read_memory", False),
        ("read_memory", "quick_answer", True),
        ("read_memory", "implement", True),
        ("read_memory", "analyse", True),
        ("quick_answer", "remember", False),
        ("implement", "remember", False),
        ("analyse", "remember", False),
        ("remember", END, False),
    }


def test_the_drawing_names_every_node() -> None:
    mermaid = GRAPH.get_graph().draw_mermaid()
    for node in ("route", "read_memory", "quick_answer", "implement", "analyse", "remember"):
        assert f"{node}({node})" in mermaid


def test_the_graph_is_made_anew_and_without_a_store_of_its_own() -> None:
    assert build_router_graph() is not build_router_graph()
    assert (GRAPH.store, GRAPH.checkpointer, GRAPH.name) == (None, None, "cline-memory-router")


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_takes_its_way_and_only_its_answer_streams(role: Role) -> None:
    models = FakeModels(says("Hel", "lo"))
    nodes: list[str] = []
    speakers: set[str] = set()
    told: Any
    async for kind, told in GRAPH.astream(
        {"turn": person(ASKED[role])}, context=deps(models), stream_mode=["updates", "messages"]
    ):
        if kind == "updates":
            nodes += told
        else:
            speakers.add(told[1]["langgraph_node"])
    assert nodes == ["route", "read_memory", ANSWER_NODES[role], "remember"]
    assert speakers == {ANSWER_NODES[role]}
    assert models.leased == models.freed == [card(role).name]


async def test_events_tell_the_route_then_the_answer() -> None:
    routed, leased, *answer = await events_of(person("where are we?"), deps(FakeModels(says("Hel", "lo"))))
    assert isinstance(routed, Routed)
    assert isinstance(leased, Leased)
    assert 0 <= leased.queued_s < 5
    assert (routed.decision.role, routed.conversation, routed.sources) == ("memory_fast", "call_1", ())
    assert routed.ledger.window == 8192
    assert answer == [TextDelta("Hel"), TextDelta("lo"), Finished("stop", Usage(9, 4), None)]


async def test_the_output_is_the_answer_whole() -> None:
    made = model(chunk(thinking="hm"), chunk("I "), chunk("look"), call("read_file", {"path": "a"}), chunk(told=DONE))
    output = await GRAPH.ainvoke({"turn": person("where are we?", tools=(TOOL,))}, context=deps(FakeModels(made)))
    assert output.keys() == {"answer", "decision", "ledger", "sources", "conversation"}
    answer = output["answer"]
    assert isinstance(answer, AIMessage)
    assert (answer.text, answer.additional_kwargs) == ("I look", {"reasoning_content": "hm"})
    assert [(each["name"], each["args"]) for each in answer.tool_calls] == [("read_file", {"path": "a"})]
    assert answer.response_metadata == {"finish_reason": "tool_calls", "model": card("memory_fast").name}
    assert answer.usage_metadata is None


async def test_counts_of_the_answer_are_the_models() -> None:
    answer = (await run(person("where are we?"), deps(FakeModels(says("x")))))["answer"]
    assert answer.usage_metadata == {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}


@pytest.mark.parametrize(
    ("given", "role"),
    [
        ({"messages": [HumanMessage("where are we?")]}, "memory_fast"),
        ({"messages": [{"role": "user", "content": "where are we?"}]}, "memory_fast"),
        ({"messages": [("user", "where are we?")], "model": "memory_analysis"}, "memory_analysis"),
        ({"messages": "fix it", "model": ""}, "implementation"),
    ],
)
async def test_plain_messages_are_a_request_too(given: dict[str, Any], role: Role) -> None:
    given["messages"] = [given["messages"]] if isinstance(given["messages"], str) else given["messages"]
    output = await GRAPH.ainvoke(given, context=deps(FakeModels(says("x"))))  # type: ignore[call-overload]
    assert output["decision"].role == role


@pytest.mark.parametrize("given", [{}, {"messages": []}])
async def test_no_messages_are_a_bad_request(given: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="messages is empty") as caught:
        await GRAPH.ainvoke({"mode": "act", **given}, context=deps(FakeModels(says("x"))))  # type: ignore[call-overload]
    assert caught.value.param == "messages"


async def test_route_opens_the_ledger_for_the_decided_window() -> None:
    models = FakeModels(
        says("x"), {role: card(role, window=window) for role, window in zip(ROLES, (1024, 4096, 8192), strict=True)}
    )
    text = "where are we? " + "tide " * 1500
    state = await run(person(text, messages=(SystemMessage("Be brief."), HumanMessage(text))), deps(models))
    decision, ledger = state["decision"], state["ledger"]
    assert (decision.wanted, decision.role) == ("memory_fast", "implementation")
    assert (ledger.window, ledger.answer, state["card"].name) == (4096, 1024, card("implementation").name)
    assert ledger.system < 20
    assert 1500 < ledger.history < 1600
    assert len(state["chain"]) == 2


@pytest.mark.parametrize(
    ("turn", "error"),
    [
        (person("x", model="gpt-4o"), UnknownModel),
        (person("x " * 9000), ContextTooLong),
        (person("x" * 300_000), ContextTooLong),
        (person("x", messages=(HumanMessage(["x", IMAGE]),)), BadRequest),
    ],
    ids=["model", "window", "text", "image"],
)
async def test_what_cannot_be_served_is_refused_before_any_model(turn: Any, error: type[RouterError]) -> None:
    models, memory = FakeModels(says("x")), FakeMemory()
    with pytest.raises(error):
        await run(turn, deps(models, memory))
    assert models.leased == []
    assert memory.asked == []


@pytest.mark.parametrize("error", [BackendUnavailable("gone", retry_after_s=5), ModelBusy("queue")])
async def test_errors_before_the_answer_propagate_as_they_are(error: RouterError) -> None:
    with pytest.raises(type(error)) as caught:
        await run(person("x"), deps(FakeModels(says("x"), error=error)))
    assert caught.value is error


async def test_an_error_in_the_answer_propagates_frees_the_lease_and_is_not_remembered() -> None:
    error = UpstreamBroken("cut")
    models, store = FakeModels(model(chunk("a"), error)), InMemoryStore()
    seen = []
    with pytest.raises(UpstreamBroken) as caught:  # noqa: PT012 - what came before the error is looked at
        async for event in GRAPH.astream(
            {"turn": person("where are we?")}, context=deps(models, store=store), stream_mode="custom"
        ):
            seen.append(event)  # noqa: PERF401 - what came before the error is kept
    assert caught.value is error
    assert seen[2:] == [TextDelta("a")]
    assert models.leased == models.freed
    assert await store.asearch(("conversations",)) == []


async def test_cancelling_a_run_closes_the_models_stream_and_frees_the_lease() -> None:
    made = model(chunk("a"), asyncio.Event(), chunk(told=DONE))
    models, first = FakeModels(made), asyncio.Event()

    async def consume() -> None:
        async for event in GRAPH.astream({"turn": person("x")}, context=deps(models), stream_mode="custom"):
            if event == TextDelta("a"):
                first.set()

    running = asyncio.create_task(consume())
    await first.wait()
    assert (models.freed, made.closed) == ([], [])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert models.leased == models.freed != []
    assert made.closed == [True]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_leaving_a_run_closes_the_models_stream_and_frees_the_lease() -> None:
    made = model(chunk("a"), asyncio.Event(), chunk(told=DONE))
    models = FakeModels(made)
    events = GRAPH.astream({"turn": person("x")}, context=deps(models), stream_mode="custom")
    async for event in events:
        if event == TextDelta("a"):
            break
    await events.aclose()  # type: ignore[attr-defined]
    assert models.leased == models.freed != []
    assert made.closed == [True]


async def test_many_runs_of_one_graph_do_not_mix() -> None:
    async def answer_of(number: int) -> str:
        output = await GRAPH.ainvoke(
            {"turn": person(f"x {number}")}, context=deps(FakeModels(says(f"answer {number}")))
        )
        return str(output["answer"].text)

    assert await asyncio.gather(*map(answer_of, range(20))) == [f"answer {number}" for number in range(20)]


async def test_a_request_is_not_changed_by_its_run() -> None:
    messages = (
        HumanMessage(["look", {"type": "text", "text": "here"}]),
        AIMessage("a"),
        ToolMessage("b", tool_call_id="1"),
    )
    before = [message.model_copy(deep=True) for message in messages]
    await run(person("x", messages=messages), deps(FakeModels(says("x"))))
    assert list(messages) == before


async def test_the_edge_is_a_function_of_the_decision() -> None:
    assert ANSWER_NODES.keys() == set(ROLES)
    for role, node in ANSWER_NODES.items():
        decision = type("Decision", (), {"role": role})
        assert await to_answer({"decision": decision}) == node  # type: ignore[typeddict-item]


async def test_reasoning_and_calls_are_events() -> None:
    made = model(chunk(thinking="hm"), call("read_file", {}), chunk(told=DONE))
    _, _, *answer = await events_of(person("where are we?", tools=(TOOL,)), deps(FakeModels(made)))
    assert answer == [
        ReasoningDelta("hm"),
        ToolCallMade(0, "call_2", "read_file", "{}"),
        Finished("tool_calls", None, None),
    ]


@pytest.mark.parametrize(
    ("answers", "turn", "warmed"),
    [
        (says("the plan"), person("make a plan for it"), True),
        (says("the plan"), person("where are we?", mode="plan", tools=(TOOL,)), True),
        (says("done"), person("fix the bug"), False),
        (model(call("read_file", {}), chunk(told=DONE)), person("make a plan for it", tools=(TOOL,)), False),
        (says("<read_file>a</read_file>"), person("make a plan for it", mode="plan"), False),
        (says("<plan_mode_respond>the plan</plan_mode_respond>"), person("make a plan for it", mode="plan"), True),
    ],
    ids=["analysis", "plan mode", "code", "in a tool loop", "in a loop of tags", "end of a loop of tags"],
)
async def test_the_coder_is_warmed_when_a_plan_has_come_to_its_end(answers: Any, turn: Turn, warmed: bool) -> None:
    models = FakeModels(answers)
    await run(turn, deps(models))
    assert models.warmed == (["implementation"] if warmed else [])

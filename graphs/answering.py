"""What the three answering nodes share: hold the model, stream its answer to the person, gather it into a message."""

from __future__ import annotations

import json
import time
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from langchain_core.messages import AIMessage
from langgraph.runtime import Runtime

from chains.answer import AnswerRequest, stream_answer
from chains.compose import with_blocks
from chains.events import AnswerEvent, Finished, Leased, ReasoningDelta, Routed, TextDelta, ToolCallMade
from config.errors import ContextTooLong, SmallerWindow
from config.schema import ROLES
from graphs.attempts import Teller, answered_by_somebody
from graphs.deps import Deps
from graphs.kept_memory import places_of
from graphs.nodes.read_memory import read_memory
from graphs.planning import plan
from graphs.state import AnswerUpdate, RouterState
from graphs.tracing import Traced, conversation_key, trace_prompt

_Answered = tuple[RouterState, list[AnswerEvent], Traced]

LAST_TAGS = ("<plan_mode_respond>", "<attempt_completion>")


async def answer_with_model(state: RouterState, runtime: Runtime[Deps]) -> AnswerUpdate:
    """Stream the decided model's answer as events, then return it whole; see `graphs.attempts`.

    Raises:
        BackendError, ContextTooLong: as the last model's call does.
    """
    deps = runtime.context
    tell = Teller(deps.tell or runtime.stream_writer)
    state, events, traced = await _answered(state, runtime, tell)
    if _ends_a_plan(state, events):
        deps.models.warm("implementation")
    return {
        "answer": _message(events, state["card"].name),
        "decision": state["decision"],
        "blocks": state["blocks"],
        "sources": state["sources"],
        "ledger": state["ledger"],
        "trace": traced.trace,
    }


async def _answered(state: RouterState, runtime: Runtime[Deps], tell: Teller) -> _Answered:
    """Where a window turns out too small for the request, it is planned anew, which each role can lead to once."""
    answered = partial(
        answered_by_somebody, deps=runtime.context, tell=tell, call=partial(_answer, deps=runtime.context, tell=tell)
    )
    for _ in ROLES:
        try:
            return await answered(state)
        except SmallerWindow:
            state = await _planned_anew(state, runtime)
    return await answered(state)


async def _planned_anew(state: RouterState, runtime: Runtime[Deps]) -> RouterState:
    """The state with the window that the server turned out to give; the conversation stays what it was told to be."""
    routed: RouterState = {
        **state,
        **await plan(state["turn"], runtime.context),
        "conversation": state["conversation"],
    }
    memory, asks = await read_memory(routed, runtime), routed["kept"].asks
    if asks is not None and memory["blocks"].get(asks) == state["blocks"].get(asks):
        memory = {**memory, "sources": state["sources"], "memory_note": state["memory_note"]}
    return {**routed, **memory}


async def _answer(state: RouterState, deps: Deps, tell: Teller) -> _Answered:
    """One call. Where the model counts more tokens than we did and the memory that was added now makes the request too
    long, it is asked again without that memory.
    """
    try:
        return await _stream(state, deps, tell)
    except ContextTooLong:
        index = state["new_block_index"]
        if index is None:
            raise
        # Later requests must find this message as the model will have read it.
        places = places_of(index, state["chain"], state["measured"], conversation_key(state, deps))
        await deps.sessions.keep_block("", places)
        return await _stream(_without_block(state, index), deps, tell)


def _ends_a_plan(state: RouterState, events: list[AnswerEvent]) -> bool:
    """Whether a person now reads a plan or an analysis, after which code is likely to be asked for."""
    turn = state["turn"]
    if turn.mode != "plan" and state["decision"].role != "memory_analysis":
        return False
    if any(isinstance(event, ToolCallMade) for event in events):
        return False
    # Clients that get no tools and yet have modes write their calls as tags, and end with one of these.
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    return turn.offers_tools or turn.mode == "none" or any(tag in text for tag in LAST_TAGS)


async def _stream(state: RouterState, deps: Deps, tell: Teller) -> _Answered:
    card, ledger, turn = state["card"], state["ledger"], state["turn"]
    traced = trace_prompt(state, deps)
    routed = Routed(
        state["decision"],
        ledger,
        state["conversation"],
        tuple(state["sources"]),
        state["memory_note"],
        traced.left,
        turn.workspace,
    )
    tell(routed)
    wanted = turn.sampling.answer_limit_tokens
    role, answer_limit_tokens = state["decision"].role, ledger.answer_limit(wanted)
    request = AnswerRequest(
        messages=with_blocks(turn.messages, state["blocks"]),
        turn=turn,
        options=card.options,
        answer_limit_tokens=answer_limit_tokens,
        thinks=card.thinking,
        think=card.think,
        new_id=deps.new_id,
        limited_by_window=answer_limit_tokens < (wanted or card.answer_limit_tokens),
        prefill_s=deps.speeds.prefill_s(role, card.name, ledger.prompt),
        answer_s=deps.speeds.answer_s(role, answer_limit_tokens),
    )
    gathered: list[AnswerEvent] = []
    asked_at = time.perf_counter()
    try:
        async with deps.models.lease(card) as model:
            tell(Leased(time.perf_counter() - asked_at))
            async with aclosing(stream_answer(model, request)) as events:
                async for event in events:
                    told = _learned(event, state, traced, deps) if isinstance(event, Finished) else event
                    tell(told)
                    gathered.append(told)
    except SmallerWindow:
        # A request that now fits nowhere is refused with what was told last.
        given = (await deps.models.cards())[role].window_tokens
        tell(replace(routed, ledger=replace(ledger, window=given)))
        raise
    return state, gathered, traced


def _learned(finished: Finished, state: RouterState, traced: Traced, deps: Deps) -> Finished:
    """The end with what it tells of how the prompt was read. How images are counted differs too much to tell."""
    name = state["card"].name
    deps.speeds.learn(state["decision"].role, name, finished)
    if state["turn"].has_images:
        return finished
    return replace(finished, reading=deps.speeds.learn_counting(name, traced.sent, finished.usage))


def _without_block(state: RouterState, index: int) -> RouterState:
    kept = {message: block for message, block in state["blocks"].items() if message != index}
    ledger = state["ledger"]
    note = "The model counted more tokens than expected: asked again without the memory."
    left_out = (*ledger.left_out, *(f"{source}: the model counted more tokens" for source in state["sources"]))
    return {
        **state,
        "blocks": kept,
        "ledger": replace(ledger, memory=ledger.memory - state["new_block_tokens"], left_out=left_out),
        "sources": [],
        "memory_note": note,
    }


def _message(events: list[AnswerEvent], model: str) -> AIMessage:
    finished = next(event for event in reversed(events) if isinstance(event, Finished))
    usage = finished.usage
    return AIMessage(
        content="".join(event.text for event in events if isinstance(event, TextDelta)),
        tool_calls=[
            {"type": "tool_call", "id": event.id, "name": event.name, "args": json.loads(event.arguments)}
            for event in events
            if isinstance(event, ToolCallMade)
        ],
        additional_kwargs={
            "reasoning_content": "".join(event.text for event in events if isinstance(event, ReasoningDelta))
        },
        response_metadata={"finish_reason": finished.reason, "model": model},
        usage_metadata=usage
        and {
            "input_tokens": usage.prompt_tokens,
            "output_tokens": usage.answer_tokens,
            "total_tokens": usage.prompt_tokens + usage.answer_tokens,
        },
    )

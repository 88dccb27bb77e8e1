"""What the three answering nodes share: hold the model, stream its answer to the person, gather it into a message."""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import replace

from langchain_core.messages import AIMessage
from langgraph.runtime import Runtime

from chains.answer import AnswerRequest, stream_answer
from chains.compose import with_blocks
from chains.counting import count_text
from chains.events import AnswerEvent, Finished, ReasoningDelta, Routed, TextDelta, ToolCallMade
from config.errors import ContextTooLong
from graphs.deps import Deps
from graphs.state import AnswerUpdate, RouterState

LAST_TAGS = ("<plan_mode_respond>", "<attempt_completion>")


async def answer_with_model(state: RouterState, runtime: Runtime[Deps]) -> AnswerUpdate:
    """Stream the decided model's answer as custom events, then return it whole.

    Where the model counts more tokens than we did and the memory that was added now makes the request too long, it is
    asked again without that memory.

    Raises:
        BackendError, ContextTooLong: as the model's call does.
    """
    try:
        events = await _stream(state, runtime)
    except ContextTooLong:
        index = state["new_block_index"]
        if index is None:
            raise
        # Later requests must find this message as the model will have read it.
        await runtime.context.sessions.keep_block(state["chain"][index], "")
        events = await _stream(_without_block(state, index), runtime)
    if _ends_a_plan(state, events):
        runtime.context.models.warm("implementation")
    return {"answer": _message(events, state["card"].name)}


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


async def _stream(state: RouterState, runtime: Runtime[Deps]) -> list[AnswerEvent]:
    card, ledger, turn = state["card"], state["ledger"], state["turn"]
    tell = runtime.stream_writer
    tell(Routed(state["decision"], ledger, state["conversation"], tuple(state["sources"]), state["memory_note"]))
    request = AnswerRequest(
        messages=with_blocks(turn.messages, state["blocks"]),
        turn=turn,
        options=card.options,
        answer_limit_tokens=ledger.answer_limit(turn.sampling.answer_limit_tokens),
        thinks=card.thinking,
        think=card.think,
        new_id=runtime.context.new_id,
        prefill_s=runtime.context.speeds.prefill_s(state["decision"].role, card.name, ledger.prompt),
    )
    gathered: list[AnswerEvent] = []
    async with (
        runtime.context.models.lease(card) as model,
        aclosing(stream_answer(model, request)) as events,
    ):
        async for event in events:
            tell(event)
            gathered.append(event)
            if isinstance(event, Finished):
                runtime.context.speeds.learn(state["decision"].role, card.name, event)
    return gathered


def _without_block(state: RouterState, index: int) -> RouterState:
    kept = {message: block for message, block in state["blocks"].items() if message != index}
    memory = sum(count_text(block) for block in kept.values())
    note = "The model counted more tokens than expected: asked again without the memory."
    return {
        **state,
        "blocks": kept,
        "ledger": replace(state["ledger"], memory=memory, left_out=(*state["ledger"].left_out, *state["sources"])),
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

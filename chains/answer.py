"""Prompt | model | events: streams one answer and tells how it ended, in the model's own counts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage

from backends.json_bytes import json_bytes
from chains.events import AnswerEvent, Finished, Limit, ReasoningDelta, TextDelta, Timings, ToolCallMade, Usage
from chains.forced_calls import call_schema, parse_call
from chains.turn import Turn
from config.errors import UpstreamBroken

NANOSECONDS = 1e-9


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """What one call of a model needs; `options` is the model's canonical set.

    `thinks` tells whether the model can think, `think` whether it does so where the client does not say; `prefill_s` is
    how long reading the prompt is expected to take, None where that is not known; `limited_by_window` whether the
    answer's limit is less than was wanted, as the window has no more room.
    """

    messages: Sequence[BaseMessage]
    turn: Turn
    options: Mapping[str, Any]
    answer_limit_tokens: int
    thinks: bool
    think: bool | None
    new_id: Callable[[], str]
    prefill_s: float | None = None
    limited_by_window: bool = False


async def stream_answer(model: BaseChatModel, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
    """Stream one answer as events, ending with `Finished`.

    Raises:
        UpstreamBroken: the model's answer ended without its end mark, or is no call where it had to be one.
        BackendError: whatever the model's own stream raises.
    """
    turn = request.turn
    schema = call_schema(turn.tools, turn.tool_choice) if turn.offers_tools else None
    arguments = _call_arguments(request, schema)
    held: list[str] = []
    calls = 0
    last: AIMessageChunk | None = None
    async with aclosing(model.astream(list(request.messages), **arguments)) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            if reasoning := chunk.additional_kwargs.get("reasoning_content"):
                yield ReasoningDelta(str(reasoning))
            if text := str(chunk.text):
                if schema is None:
                    yield TextDelta(text)
                else:
                    held.append(text)
            for call in chunk.tool_calls:
                yield ToolCallMade(calls, request.new_id(), call["name"], json_bytes(call["args"]).decode())
                calls += 1
            if "done_reason" in chunk.response_metadata or chunk.response_metadata.get("done"):
                last = chunk
    if last is None:
        raise UpstreamBroken("The model's answer ended without its end mark: try again.")
    if schema is not None and not calls and last.response_metadata.get("done_reason") != "length":
        yield _forced_call("".join(held), request)
        calls = 1
    yield _finished(last, request, called=calls > 0)


def _call_arguments(request: AnswerRequest, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    turn = request.turn
    options = {**request.options, **turn.sampling.options(), "num_predict": request.answer_limit_tokens}
    think = turn.sampling.think if turn.sampling.think is not None else request.think
    arguments: dict[str, Any] = {"options": options}
    if request.prefill_s is not None:
        arguments["prefill_s"] = request.prefill_s
    if turn.offers_tools:
        arguments["tools"] = list(turn.tools)
    if answer_format := schema or turn.answer_schema:
        arguments["format"] = answer_format
    if request.thinks and think is not None:
        arguments["reasoning"] = think
    return arguments


def _forced_call(text: str, request: AnswerRequest) -> ToolCallMade:
    call = parse_call(text, request.turn.tools, request.turn.tool_choice)
    if call is None:
        raise UpstreamBroken("The model did not make the tool call that tool_choice asks for: try again.")
    return ToolCallMade(0, request.new_id(), *call)


def _finished(chunk: AIMessageChunk, request: AnswerRequest, *, called: bool) -> Finished:
    told = chunk.response_metadata
    reason = "length" if told.get("done_reason") == "length" else "tool_calls" if called else "stop"
    usage = timings = None
    if chunk.usage_metadata:
        cached = told.get("prompt_eval_cached_count")
        usage = Usage(
            prompt_tokens=chunk.usage_metadata["input_tokens"],
            answer_tokens=chunk.usage_metadata["output_tokens"],
            cached_tokens=cached if isinstance(cached, int) else None,
        )
    durations = [told.get(key) for key in ("load_duration", "prompt_eval_duration", "eval_duration")]
    if all(isinstance(value, int) for value in durations):
        timings = Timings(*(value * NANOSECONDS for value in durations if isinstance(value, int)))
    ended_by = _limit_met(request, usage) if reason == "length" else None
    return Finished(reason, usage, timings, ended_by)  # type: ignore[arg-type]


def _limit_met(request: AnswerRequest, usage: Usage | None) -> Limit:
    """A server that stops short of the limit it was given has come to the end of the window."""
    short = usage is not None and usage.answer_tokens < request.answer_limit_tokens
    return "window" if short or request.limited_by_window else "answer_limit"

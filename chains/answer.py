"""Prompt | model | events: streams one answer and tells how it ended, in the model's own counts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from chains.events import AnswerEvent, Finished, Repair
from chains.forced_calls import call_schema
from chains.reading import AnswerReader
from chains.turn import Turn
from config.errors import EmptyAnswer


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """What one call of a model needs; `options` is the model's canonical set.

    `thinks` tells whether the model can think, `think` whether it does so where the client does not say; `prefill_s` is
    how long reading the prompt is expected to take, None where that is not known; `answer_s` how long an answer up to
    its limit is; `limited_by_window` whether that limit is less than was wanted, as the window has no more room.
    """

    messages: Sequence[BaseMessage]
    turn: Turn
    options: Mapping[str, Any]
    answer_limit_tokens: int
    thinks: bool
    think: bool | None
    new_id: Callable[[], str]
    prefill_s: float | None = None
    answer_s: float = 0.0
    limited_by_window: bool = False


async def stream_answer(model: BaseChatModel, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
    """Stream one answer as events, ending with `Finished`.

    An answer without a word or a call is asked for once more, without thinking, which may have taken its place.

    Raises:
        UpstreamBroken: the model's answer ended without its end mark.
        ToolCallMissing: it is no call where it had to be one.
        EmptyAnswer: the second answer has nothing in it either.
        BackendError: whatever the model's own stream raises.
    """
    turn = request.turn
    think = (turn.sampling.think if turn.sampling.think is not None else request.think) if request.thinks else None
    repairs: tuple[Repair, ...] = ()
    for think_now in (think, False if request.thinks else None):
        reader = AnswerReader(turn, thinks=think_now is True, new_id=request.new_id)
        async with aclosing(_read_answer(model, request, reader, think=think_now)) as events:
            async for event in events:
                yield event
        if not reader.is_empty:
            yield _with_limit(reader.finished(repairs), request)
            return
        repairs = ("asked_again",)
    raise EmptyAnswer("The model gave an empty answer twice: try again, or rephrase the request.")


async def _read_answer(
    model: BaseChatModel, request: AnswerRequest, reader: AnswerReader, *, think: bool | None
) -> AsyncGenerator[AnswerEvent, None]:
    arguments = _call_arguments(request, think=think)
    async with aclosing(model.astream(list(request.messages), **arguments)) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            for event in reader.take(chunk):
                yield event
            if request.turn.sampling.stop and reader.stopped:
                break
    for event in reader.end():
        yield event


def _call_arguments(request: AnswerRequest, *, think: bool | None) -> dict[str, Any]:
    turn = request.turn
    options = {**request.options, **turn.sampling.options(), "num_predict": request.answer_limit_tokens}
    arguments: dict[str, Any] = {"options": options}
    if request.prefill_s is not None:
        arguments["prefill_s"] = request.prefill_s
    if turn.offers_tools:
        arguments |= {"tools": list(turn.tools), "call_s": request.answer_s}
    schema = call_schema(turn.tools, turn.tool_choice) if turn.offers_tools else None
    if answer_format := schema or turn.answer_schema:
        arguments["format"] = answer_format
    if think is not None:
        arguments["reasoning"] = think
    return arguments


def _with_limit(finished: Finished, request: AnswerRequest) -> Finished:
    """Which limit cut it: a server that stops short of the one it was given has come to the end of the window."""
    if finished.reason != "length":
        return finished
    short = finished.usage is not None and finished.usage.answer_tokens < request.answer_limit_tokens
    return replace(finished, ended_by="window" if short or request.limited_by_window else "answer_limit")

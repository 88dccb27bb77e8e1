"""From the graph's events to OpenAI's objects. Ids and clock are given, so that the same events give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chains.events import Finished, ReasoningDelta, RouterEvent, TextDelta, ToolCallMade, Usage
from config.errors import RouterError
from wire.errors import error_object


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every chunk of one answer carries; `created` in Unix seconds."""

    id: str
    created: int
    model: str


def first_chunk(stamp: Stamp, router: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Opens the answer; `router` is the decision, for a client that asked for it."""
    return _chunk(stamp, {"role": "assistant", "content": ""}) | _told(router)


def text_chunk(stamp: Stamp, text: str) -> dict[str, Any]:
    """A piece of the answer."""
    return _chunk(stamp, {"content": text})


def event_chunk(stamp: Stamp, event: RouterEvent) -> dict[str, Any] | None:
    """One event as a chunk; None for what a client does not see."""
    match event:
        case TextDelta():
            return text_chunk(stamp, event.text)
        case ReasoningDelta():
            return _chunk(stamp, {"reasoning_content": event.text})
        case ToolCallMade():
            return _chunk(stamp, {"tool_calls": [{"index": event.index, **_tool_call(event)}]})
        case Finished():
            return _chunk(stamp, {}, _ending(event))
        case _:
            return None


def usage_chunk(stamp: Stamp, usage: Usage) -> dict[str, Any]:
    """The last chunk where the client asked for usage."""
    return {**_chunk(stamp, {}), "choices": [], "usage": usage_object(usage)}


def error_chunk(stamp: Stamp, error: RouterError) -> dict[str, Any]:
    """Ends a broken answer so that nobody takes it for a whole one."""
    return {**_chunk(stamp, {}, {"finish_reason": "error"}), "error": error_object(error)}


def completion(stamp: Stamp, events: Iterable[RouterEvent], router: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The whole answer as one object, for a client that does not stream; `router` as in `first_chunk`."""
    kept = list(events)
    finished = next(event for event in reversed(kept) if isinstance(event, Finished))
    text = "".join(event.text for event in kept if isinstance(event, TextDelta))
    reasoning = "".join(event.text for event in kept if isinstance(event, ReasoningDelta))
    calls = [_tool_call(event) for event in kept if isinstance(event, ToolCallMade)]
    message: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else "")}
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = calls
    whole: dict[str, Any] = {
        "id": stamp.id,
        "object": "chat.completion",
        "created": stamp.created,
        "model": stamp.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, **_ending(finished)}],
    }
    if finished.usage:
        whole["usage"] = usage_object(finished.usage)
    return whole | _told(router)


def usage_object(usage: Usage) -> dict[str, Any]:
    """OpenAI's usage, in the model's own counts."""
    counts: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.answer_tokens,
        "total_tokens": usage.prompt_tokens + usage.answer_tokens,
    }
    if usage.cached_tokens is not None:
        counts["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    return counts


def _ending(finished: Finished) -> dict[str, Any]:
    """The finish reason; beside `length`, which of the two limits it was."""
    ending = {"finish_reason": finished.reason}
    return ending | {"ended_by": finished.ended_by} if finished.ended_by else ending


def _chunk(stamp: Stamp, delta: dict[str, Any], ending: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "id": stamp.id,
        "object": "chat.completion.chunk",
        "created": stamp.created,
        "model": stamp.model,
        "choices": [{"index": 0, "delta": delta, "logprobs": None, **(ending or {"finish_reason": None})}],
    }


def _told(router: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"router": router} if router else {}


def _tool_call(event: ToolCallMade) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": "function",
        "function": {"name": event.name, "arguments": event.arguments},
    }

"""From OpenAI's response items to a chat request, so that there is one way from a request to a Turn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from config.errors import BadRequest
from wire.openai_request import ChatRequest
from wire.responses_request import (
    CallItem,
    CallOutputItem,
    Content,
    ImagePart,
    Item,
    MessageItem,
    Part,
    ReasoningItem,
    ResponsesRequest,
    TextPart,
)
from wire.responses_tools import chat_tool_choice, chat_tools, model_name, own_names
from wire.validate import parse_chat_request

Json = dict[str, Any]


def as_chat(request: ResponsesRequest) -> ChatRequest:
    """The same conversation, tools and wishes as a chat completion; raises `BadRequest` where those contradict."""
    items = request.input
    said = [{"role": "user", "content": items}] if isinstance(items, str) else _turns(items)
    if not said:
        raise BadRequest("input is empty: send what is to be answered.", param="input")
    system = [{"role": "system", "content": request.instructions}] if request.instructions else []
    return parse_chat_request(
        {
            "model": request.model,
            "messages": [*system, *said],
            "stream": request.stream,
            "tools": chat_tools(request.tools or []) or None,
            "tool_choice": chat_tool_choice(request.tool_choice, own_names(request.tools or [])),
            "parallel_tool_calls": request.parallel_tool_calls,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "max_completion_tokens": request.max_output_tokens,
            "response_format": _format(request),
            "reasoning_effort": request.reasoning.effort if request.reasoning else None,
            "metadata": request.metadata,
        },
        response_format="text.format",
    )


def _turns(items: Iterable[Item]) -> list[Json]:
    """Thinking, words and calls of one answer are items of their own here, and one message in a chat."""
    turns: list[Json] = []
    for item in items:
        match item:
            case MessageItem(role="assistant"):
                _join(turns, content=_text(item.content))
            case MessageItem(role="user"):
                turns.append({"role": "user", "content": _content(item.content)})
            case MessageItem():
                turns.append({"role": item.role, "content": _text(item.content)})
            case CallItem():
                call = {
                    "id": item.call_id,
                    "function": {"name": model_name(item.namespace, item.name), "arguments": item.arguments},
                }
                _join(turns, tool_calls=[call])
            case CallOutputItem():
                turns.append({"role": "tool", "tool_call_id": item.call_id, "content": _content(item.output)})
            case ReasoningItem():
                thought = "".join(part.text for part in item.content or [])
                _join(turns, **({"reasoning_content": thought} if thought else {}))
    return [turn for turn in turns if turn != {"role": "assistant"}]


def _join(turns: list[Json], **more: Any) -> None:
    """Add to the assistant's message that is being put together; text after calls begins another."""
    open_turn = turns[-1] if turns and turns[-1]["role"] == "assistant" else None
    if open_turn is None or ("tool_calls" in open_turn and "tool_calls" not in more):
        turns.append({"role": "assistant", **more})
        return
    for key, value in more.items():
        open_turn[key] = open_turn[key] + value if key in open_turn else value


def _text(content: Content) -> str:
    if isinstance(content, str):
        return content
    return "".join(_words(part) for part in content)


def _words(part: Part) -> str:
    if isinstance(part, ImagePart):
        raise BadRequest("input: an image may stand in a user's message only: send it there.", param="input")
    return part.text if isinstance(part, TextPart) else part.refusal


def _content(content: Content) -> str | list[Json]:
    return content if isinstance(content, str) else [_part(part) for part in content]


def _part(part: Part) -> Json:
    if isinstance(part, ImagePart):
        return {"type": "image_url", "image_url": {"url": part.image_url}}
    return {"type": "text", "text": _words(part)}


def _format(request: ResponsesRequest) -> Json | None:
    wanted = request.text.format if request.text else None
    if wanted is None or wanted.type != "json_schema":
        return {"type": wanted.type} if wanted else None
    if wanted.schema_ is None:
        raise BadRequest("text.format.schema is missing beside type json_schema.", param="text.format.schema")
    return {"type": "json_schema", "json_schema": {"name": wanted.name, "schema": wanted.schema_}}

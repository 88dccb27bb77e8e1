"""From Anthropic's messages to a chat request, so that there is one way from a request to a Turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from wire.messages_document import DocumentBlock
from wire.messages_request import (
    AssistantMessage,
    CountRequest,
    ImageBlock,
    Message,
    MessagesRequest,
    SystemContent,
    SystemMessage,
    TextBlock,
    ThinkingBlock,
    ToolChoice,
    ToolResultBlock,
    ToolUseBlock,
    UserBlock,
    UserMessage,
)
from wire.openai_request import ChatRequest
from wire.validate import parse_chat_request

# Claude Code begins its instructions with a line of accounting that differs in every request, and would have the model
# read its whole prompt again each time.
_ACCOUNTING = "x-anthropic-billing-header:"
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}

Json = dict[str, Any]


def as_chat(request: CountRequest) -> ChatRequest:
    """The same conversation, tools and wishes as a chat completion; raises `BadRequest` where those contradict."""
    system = [{"role": "system", "content": _system_text(request.system)}] if request.system else []
    chat: Json = {
        "model": request.model,
        "messages": [*system, *(turn for message in request.messages for turn in _turns(message))],
        "tools": [_tool(tool.name, tool.description, tool.input_schema) for tool in request.tools or []] or None,
        "reasoning_effort": _effort(request),
    }
    if (output := request.output_config) and output.format:
        schema = {"name": "answer", "schema": output.format.schema_}
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.tool_choice:
        chat |= _tool_choice(request.tool_choice)
    if isinstance(request, MessagesRequest):
        chat |= {
            "stream": request.stream,
            "max_completion_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k,
        }
    asked = parse_chat_request(chat, response_format="output_config.format")
    if isinstance(request, MessagesRequest):
        # More of them than a chat may have.
        return asked.model_copy(update={"stop": request.stop_sequences})
    return asked


def _effort(request: CountRequest) -> str | None:
    """Whether to think: as `thinking` says, else as is usual for the model; how much is for models that can choose."""
    match request.thinking.type if request.thinking else "adaptive":
        case "disabled":
            return "none"
        case "adaptive":
            return None
        case _:
            return (request.output_config and request.output_config.effort) or "medium"


def _system_text(content: SystemContent) -> str:
    if isinstance(content, str):
        return content
    return "\n\n".join(block.text for block in content if not block.text.startswith(_ACCOUNTING))


def _turns(message: Message) -> Iterator[Json]:
    match message:
        case SystemMessage():
            yield {"role": "system", "content": _system_text(message.content)}
        case AssistantMessage():
            yield _assistant(message)
        case UserMessage(content=str()):
            yield {"role": "user", "content": message.content}
        case UserMessage(content=list() as blocks):
            yield from _user(blocks)


def _user(blocks: Sequence[UserBlock]) -> Iterator[Json]:
    for block in blocks:
        if isinstance(block, ToolResultBlock):
            yield {"role": "tool", "tool_call_id": block.tool_use_id, "content": _result(block)}
    if said := [_part(block) for block in blocks if not isinstance(block, ToolResultBlock)]:
        yield {"role": "user", "content": said}


def _result(block: ToolResultBlock) -> str | list[Json]:
    """A chat has no field for an error: it begins the text, or a local model takes it for what was asked for."""
    parts = [TextBlock(type="text", text=block.content)] if isinstance(block.content, str) else block.content
    text = "\n".join(part.text for part in parts if not isinstance(part, ImageBlock))
    told = f"Error: {text}" if block.is_error else text
    images = [_part(part) for part in parts if isinstance(part, ImageBlock)]
    return [{"type": "text", "text": told}, *images] if images else told


def _part(block: TextBlock | ImageBlock | DocumentBlock) -> Json:
    if isinstance(block, ImageBlock):
        return {"type": "image_url", "image_url": {"url": f"data:{block.source.media_type};base64,{block.source.data}"}}
    return {"type": "text", "text": block.text}


def _assistant(message: AssistantMessage) -> Json:
    if isinstance(message.content, str):
        return {"role": "assistant", "content": message.content}
    blocks: Sequence[Any] = message.content
    text = "".join(block.text for block in blocks if isinstance(block, TextBlock))
    thinking = "".join(block.thinking for block in blocks if isinstance(block, ThinkingBlock))
    calls = [
        {"id": block.id, "function": {"name": block.name, "arguments": orjson.dumps(block.input).decode()}}
        for block in blocks
        if isinstance(block, ToolUseBlock)
    ]
    return {
        "role": "assistant",
        "content": text or None,
        "reasoning_content": thinking or None,
        "tool_calls": calls or None,
    }


def _tool(name: str, description: str | None, parameters: Json) -> Json:
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def _tool_choice(choice: ToolChoice) -> Json:
    named = {"type": "function", "function": {"name": choice.name}}
    wanted: Json = {"tool_choice": named if choice.type == "tool" else _CHOICES[choice.type]}
    return wanted | ({"parallel_tool_calls": False} if choice.disable_parallel_tool_use else {})

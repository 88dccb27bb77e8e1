"""Messages and tools to prompt text: ChatML as in the model's own template, tools as Hermes and Qwen do.

Pure, and stable: the prompt of a conversation begins with the prompt of its earlier part, so that llama.cpp's
prompt cache holds from turn to turn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from backends.embedded.chat_request import Message
from backends.embedded.tool_calls import CLOSE_TAG, OPEN_TAG

# The model's own template puts this in front where no system message is given.
DEFAULT_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
_CONTROL_TOKEN = re.compile(r"<\|(im_start|im_end|endoftext)\|>")
_TOOLS_HEAD = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>"
)
_TOOLS_TAIL = (
    "</tools>\n\nFor each function call, return a json object with function name and arguments within "
    f"{OPEN_TAG}{CLOSE_TAG} XML tags:\n{OPEN_TAG}\n"
    f'{{"name": <function-name>, "arguments": <args-json-object>}}\n{CLOSE_TAG}'
)


def render_prompt(messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> str:
    """Render `messages` (at least one); a last one of the assistant stays open for the model to continue."""
    has_system = messages[0].role == "system"
    system = messages[0].content if has_system else DEFAULT_SYSTEM
    rest = messages[1:] if has_system else messages
    parts = [_turn("system", _with_tools(_as_data(system), tools))]
    for index, message in enumerate(rest):
        previous_role = rest[index - 1].role if index else None
        next_role = rest[index + 1].role if index + 1 < len(rest) else None
        if message.role == "tool":
            parts.append(_tool_result(message, first=previous_role != "tool", last=next_role != "tool"))
        elif message.role == "assistant":
            body = _assistant(message)
            open_end = next_role is None and not message.tool_calls
            parts.append(f"<|im_start|>assistant\n{body}" if open_end else _turn("assistant", body))
        else:
            parts.append(_turn(message.role, _as_data(message.content)))
    if not rest or rest[-1].role != "assistant" or rest[-1].tool_calls:
        parts.append("<|im_start|>assistant\n")
    return "".join(parts)


def _turn(role: str, body: str) -> str:
    return f"<|im_start|>{role}\n{body}<|im_end|>\n"


def _with_tools(system: str, tools: Sequence[dict[str, Any]]) -> str:
    if not tools:
        return system
    signatures = "\n".join(_as_data(_json(tool)) for tool in tools)
    return f"{system}\n\n{_TOOLS_HEAD}\n{signatures}\n{_TOOLS_TAIL}"


def _assistant(message: Message) -> str:
    calls = [
        f"{OPEN_TAG}\n{_json({'name': call.name, 'arguments': call.arguments})}\n{CLOSE_TAG}"
        for call in message.tool_calls
    ]
    return _as_data("\n".join([message.content, *calls] if message.content else calls))


def _tool_result(message: Message, *, first: bool, last: bool) -> str:
    head = "<|im_start|>user\n" if first else "\n"
    tail = "<|im_end|>\n" if last else ""
    return f"{head}<tool_response>\n{_as_data(message.content)}\n</tool_response>{tail}"


def _as_data(text: str) -> str:
    """Take the power from ChatML's control tokens in quoted text; llama.cpp would read turns in them."""
    return _CONTROL_TOKEN.sub(r"<| \1 |>", text)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)

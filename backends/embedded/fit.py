"""Fits a conversation to the window as Ollama does: whole old messages go, never the system's or the last."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from backends.embedded.chat_request import Message
from backends.embedded.prompt import render_prompt
from backends.embedded.replies import ApiError

Tokenize = Callable[[str], Awaitable[list[int]]]

# Source: Ollama `llm/llama_server.go`, for models whose context is never shifted.
_STILL_TOO_LONG = (
    "the prompt is longer than the context length currently available to the model; shorten the prompt, "
    "adjust the context length in settings, or use a model with a longer context length"
)


async def fit_prompt(
    messages: Sequence[Message],
    tools: Sequence[dict[str, Any]],
    *,
    window_tokens: int,
    truncate: bool,
    tokenize: Tokenize,
) -> list[int]:
    """The prompt's tokens, fewer than `window_tokens`, so that at least one can be answered.

    Raises `ApiError` 400 where it does not fit: at once without `truncate`, else when even the last message
    with the system messages is too long. Nothing is ever cut inside a message.
    """

    async def tokens_from(start: int) -> list[int]:
        kept = [message for message in messages[:start] if message.role == "system"]
        return await tokenize(render_prompt([*kept, *messages[start:]], tools))

    tokens = await tokens_from(0)
    if len(tokens) < window_tokens:
        return tokens
    if not truncate:
        raise ApiError(400, _exceeds(len(tokens), window_tokens))
    starts = sorted({_with_its_call(messages, index) for index in range(1, len(messages))})
    found: list[int] | None = None
    low, high = 0, len(starts)
    while low < high:
        middle = (low + high) // 2
        tokens = await tokens_from(starts[middle])
        if len(tokens) < window_tokens:
            found, high = tokens, middle
        else:
            low = middle + 1
    if found is None:
        raise ApiError(400, _STILL_TOO_LONG)
    return found


def _with_its_call(messages: Sequence[Message], index: int) -> int:
    """A tool's result is never kept without the assistant's turn that asked for it."""
    start = index
    while start > 0 and messages[start].role == "tool":
        start -= 1
    return start if messages[start].tool_calls else index


def _exceeds(prompt_tokens: int, window_tokens: int) -> str:
    """Ollama hands llama-server's own error object on as text, so clients find the counts in it."""
    return json.dumps(
        {
            "error": {
                "code": 400,
                "message": f"request ({prompt_tokens} tokens) exceeds the available context size "
                f"({window_tokens} tokens), try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": prompt_tokens,
                "n_ctx": window_tokens,
            }
        },
        separators=(",", ":"),
    )

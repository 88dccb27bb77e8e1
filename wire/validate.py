"""Validates a decoded request body, and names what is wrong in it as a client would."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

from config.errors import BadRequest
from wire.openai_request import ChatRequest


def parse_chat_request(body: Any) -> ChatRequest:
    """Validate a decoded body; raises `BadRequest` that names the field as `messages[0].content`."""
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.", param="body")
    try:
        return ChatRequest.model_validate(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        field = _field_name(problem["loc"])
        if problem["type"] in {"union_tag_invalid", "union_tag_not_found"}:
            field, message = _unknown_variant(field, problem["input"])
        else:
            message = str(problem["msg"]).removeprefix("Value error, ")
        raise BadRequest(f"{field or 'body'}: {message[:1].lower()}{message[1:]}.", param=field or None) from None


def _unknown_variant(field: str, given: Any) -> tuple[str, str]:
    """Field and message for a message of an unknown role, or a part of an unknown type."""
    is_message = re.fullmatch(r"messages\[\d+\]", field) is not None
    key, known = ("role", "system, developer, user, assistant or tool") if is_message else ("type", "text or image_url")
    value = given.get(key) if isinstance(given, dict) else None
    found = "is missing" if value is None else f"{str(value)[:40]!r} is unknown"
    return f"{field}.{key}", f"{found}: use {known}"


_UNION_TAGS = {"system", "developer", "user", "assistant", "tool", "parts", "text", "image_url", "NamedTool", "str"}


def _field_name(location: tuple[int | str, ...]) -> str:
    """`("messages", 0, "user", "content", "text")` as `messages[0].content`: without the names of the variants."""
    name = ""
    for depth, part in enumerate(location):
        if isinstance(part, int):
            name += f"[{part}]"
        elif not _is_variant(location, depth):
            name += f".{part}" if name else part
    return name


def _is_variant(location: tuple[int | str, ...], depth: int) -> bool:
    """Whether a part names a union's variant; a part's own `text` or `image_url` comes right after its variant."""
    part = str(location[depth])
    if depth > 0 and location[depth - 1] == location[depth]:
        return False
    if part == "text" and isinstance(location[depth - 1], int) and depth == len(location) - 1:
        return False  # where only text parts may stand there is no variant to name
    return part in _UNION_TAGS or "[" in part or "(" in part

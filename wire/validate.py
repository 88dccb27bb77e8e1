"""Validates a decoded request body, and names what is wrong in it as a client would."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.errors import BadRequest
from wire.openai_request import ChatRequest

_Model = TypeVar("_Model", bound=BaseModel)


def parse_chat_request(body: Any) -> ChatRequest:
    """Validate a decoded body as a chat; raises as `validated`."""
    return validated(ChatRequest, body)


def validated(schema: type[_Model], body: Any) -> _Model:
    """The body as `schema`; raises `BadRequest` that names the field as `messages[0].content`."""
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.", param="body")
    try:
        return schema.model_validate(body)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = _field_name(problem["loc"], body)
        if problem["type"] in {"union_tag_invalid", "union_tag_not_found"} and "discriminator" in problem["ctx"]:
            field, message = _unknown_variant(field, problem)
        else:
            message = str(problem["msg"]).removeprefix("Value error, ")
        raise BadRequest(f"{field or 'body'}: {message[:1].lower()}{message[1:]}.", param=field or None) from None


def _unknown_variant(field: str, problem: ErrorDetails) -> tuple[str, str]:
    """Field and message for a message of an unknown role, or a part of an unknown type."""
    key, given = problem["ctx"]["discriminator"].strip("'"), problem["input"]
    value = given.get(key) if isinstance(given, dict) else None
    if value is None:
        return f"{field}.{key}", "is missing: add it"
    *others, last = re.findall(r"'([^']+)'", problem["ctx"]["expected_tags"])
    known = f"{', '.join(others)} or {last}" if others else last
    return f"{field}.{key}", f"{str(value)[:40]!r} is unknown: use {known}"


def _field_name(location: tuple[int | str, ...], body: Any) -> str:
    """`("messages", 0, "user", "content", "text")` as `messages[0].content`: without variants, which no body holds."""
    name, value = "", body
    for depth, part in enumerate(location):
        if isinstance(part, int):
            name += f"[{part}]"
            value = value[part] if isinstance(value, list) and part < len(value) else None
        elif isinstance(value, dict) and (part in value or depth == len(location) - 1):
            name += f".{part}" if name else part
            value = value.get(part)
    return name

"""Validates a decoded request body, and names what is wrong in it as a client would."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from config.errors import BadRequest
from wire.openai_request import ChatRequest
from wire.problems import first_problem

_Model = TypeVar("_Model", bound=BaseModel)


def parse_chat_request(body: Any, *, response_format: str = "response_format") -> ChatRequest:
    """Validate a decoded body as a chat; raises as `validated`. Another API may have its own name for a field."""
    try:
        return validated(ChatRequest, body)
    except BadRequest as error:
        if error.param != "response_format":
            raise
        raise BadRequest(error.message.replace(error.param, response_format), param=response_format) from None


def validated(schema: type[_Model], body: Any) -> _Model:
    """The body as `schema`; raises `BadRequest` that names the field as `messages[0].content`."""
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.", param="body")
    try:
        return schema.model_validate(body)
    except ValidationError as error:
        raise first_problem(error, body) from None

"""Validates a decoded request body, and names what is wrong in it as a client would."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from config.errors import BadRequest
from wire.openai_request import ChatRequest
from wire.problems import first_problem

_RESPONSE_FORMAT = re.compile(r"response_format(\.json_schema)?")
_Model = TypeVar("_Model", bound=BaseModel)


def parse_chat_request(body: Any, *, response_format: str | None = None) -> ChatRequest:
    """Validate a decoded body as a chat; raises as `validated`. Another API may have its own name for a field."""
    try:
        return validated(ChatRequest, body)
    except BadRequest as error:
        param = error.param or ""
        if response_format is None or not param.startswith("response_format"):
            raise
        message, param = (_RESPONSE_FORMAT.sub(response_format, text) for text in (error.message, param))
        raise BadRequest(message, param=param) from None


def validated(schema: type[_Model], body: Any) -> _Model:
    """The body as `schema`; raises `BadRequest` that names the field as `messages[0].content`."""
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.", param="body")
    try:
        return schema.model_validate(body)
    except ValidationError as error:
        raise first_problem(error, body) from None

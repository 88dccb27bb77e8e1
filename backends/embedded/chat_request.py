"""The body of `POST /api/chat`, checked by hand so that its errors read like Ollama's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast, get_args

import jsonschema
import orjson

from backends.embedded.keep_alive import parse_keep_alive
from backends.embedded.options import Options, parse_options
from backends.embedded.replies import ApiError
from backends.embedded.tool_calls import ToolCall

Role = Literal["system", "user", "assistant", "tool"]
T = TypeVar("T")

# Deeper than any schema or argument in use, and far from Python's recursion limit.
_MAX_JSON_DEPTH = 100
_NO_VISION = "this model is missing data required for image input"


@dataclass(frozen=True, slots=True)
class Message:
    """One message; images never get this far."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """`schema` is what the answer must meet, or None; `keep_alive_s` is None where the client left it out."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...]
    options: Options
    schema: Mapping[str, Any] | None
    keep_alive_s: float | None
    stream: bool
    truncate: bool


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`; raises `ApiError` 400."""
    if not body.strip():
        raise ApiError(400, "missing request body")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise ApiError(400, f"invalid JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise ApiError(400, "the request body must be a JSON object")
    if _too_deep(value):
        raise ApiError(400, f"the request body is nested more than {_MAX_JSON_DEPTH} levels deep")
    return value


def parse_model_name(raw: Mapping[str, Any]) -> str:
    """The `model` field, or the older `name`; raises `ApiError` 400."""
    name = _typed(raw, "model", str, "string") or _typed(raw, "name", str, "string")
    if not name:
        raise ApiError(400, "model is required")
    return name


def parse_chat_request(raw: Mapping[str, Any]) -> ChatRequest:
    """Raises `ApiError` 400 that names the field."""
    model = parse_model_name(raw)
    think = raw.get("think")
    if think is not None and not isinstance(think, bool | str):
        raise ApiError(400, "think must be a boolean or a string")
    if think:
        raise ApiError(400, f'"{model}" does not support thinking')
    tools = _typed(raw, "tools", list, "array") or []
    messages = _typed(raw, "messages", list, "array") or []
    return ChatRequest(
        model=model,
        messages=tuple(_message(value, f"messages[{index}]") for index, value in enumerate(messages)),
        tools=tuple(_tool(value, f"tools[{index}]") for index, value in enumerate(tools)),
        options=parse_options(_typed(raw, "options", dict, "object") or {}),
        schema=_schema(raw.get("format")),
        keep_alive_s=parse_keep_alive(raw.get("keep_alive")),
        stream=_flag(raw, "stream"),
        truncate=_flag(raw, "truncate"),
    )


def _message(value: object, where: str) -> Message:
    if not isinstance(value, dict):
        raise ApiError(400, f"{where} must be an object")
    role = value.get("role")
    if role not in get_args(Role):
        raise ApiError(400, f"invalid role: {role!r} in {where}, role must be one of [system, user, assistant, tool]")
    if _typed(value, "images", list, "array", where):
        raise ApiError(400, _NO_VISION)
    calls = _typed(value, "tool_calls", list, "array", where) or []
    return Message(
        role=cast("Role", role),
        content=_typed(value, "content", str, "string", where) or "",
        tool_calls=tuple(_tool_call(call, f"{where}.tool_calls[{index}]") for index, call in enumerate(calls)),
    )


def _tool_call(value: object, where: str) -> ToolCall:
    function = _function(value, where)
    return ToolCall(function["name"], _typed(function, "arguments", dict, "object", f"{where}.function") or {})


def _tool(value: object, where: str) -> dict[str, Any]:
    function = _function(value, where)
    _typed(function, "parameters", dict, "object", f"{where}.function")
    return {"type": "function", "function": function}


def _function(value: object, where: str) -> dict[str, Any]:
    function = value.get("function") if isinstance(value, dict) else None
    if not isinstance(function, dict):
        raise ApiError(400, f"{where}.function must be an object")
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise ApiError(400, f"{where}.function.name must be a string that is not empty")
    return function


def _schema(value: object) -> Mapping[str, Any] | None:
    if value is None or value == "":
        return None
    if value == "json":
        return {"type": "object"}
    if not isinstance(value, dict):
        raise ApiError(400, 'invalid format: expected "json" or a JSON schema')
    try:
        jsonschema.Draft202012Validator.check_schema(value)
    except jsonschema.SchemaError as exc:
        raise ApiError(400, f"invalid JSON schema in format: {exc.message}") from exc
    return value


def _flag(raw: Mapping[str, Any], name: str) -> bool:
    value = _typed(raw, name, bool, "boolean")
    return True if value is None else value


def _typed(raw: Mapping[str, Any], name: str, kind: type[T], kind_name: str, where: str = "") -> T | None:
    value = raw.get(name)
    if value is None or isinstance(value, kind):
        return value
    path = f"{where}.{name}" if where else name
    raise ApiError(400, f"{path} must be of type {kind_name}")


def _too_deep(value: object) -> bool:
    level: Sequence[object] = [value]
    for _ in range(_MAX_JSON_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return False
    return True


def _children(value: object) -> Sequence[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else ()

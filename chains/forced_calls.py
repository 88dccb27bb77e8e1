"""`tool_choice` "required" or a named tool: Ollama has no such field, so the answer is bound to a JSON schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from backends.json_bytes import json_bytes
from chains.turn import ToolChoice


def call_schema(tools: Sequence[Mapping[str, Any]], choice: ToolChoice) -> dict[str, Any] | None:
    """The schema of one tool call among those the choice allows; None where the model need not call."""
    if choice.kind != "required":
        return None
    allowed = _allowed(tools, choice)
    places = [f"#/anyOf/{index}/properties" for index in range(len(allowed))] if len(allowed) > 1 else ["#/properties"]
    calls = [
        {
            "type": "object",
            "properties": {
                "name": {"const": tool["function"]["name"]},
                "arguments": _moved(tool["function"].get("parameters") or {"type": "object"}, f"{place}/arguments"),
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool, place in zip(allowed, places, strict=True)
    ]
    return calls[0] if len(calls) == 1 else {"anyOf": calls}


def parse_call(text: str, tools: Sequence[Mapping[str, Any]], choice: ToolChoice) -> tuple[str, str] | None:
    """Name and arguments (a JSON text) of the call in a whole answer; None where it is none that the choice allows."""
    try:
        call = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(call, dict) or not isinstance(call.get("arguments"), dict):
        return None
    if call.get("name") not in [tool["function"]["name"] for tool in _allowed(tools, choice)]:
        return None
    return call["name"], json_bytes(call["arguments"]).decode()


def _allowed(tools: Sequence[Mapping[str, Any]], choice: ToolChoice) -> list[Mapping[str, Any]]:
    return [tool for tool in tools if choice.name in {None, tool["function"]["name"]}]


def _moved(schema: Any, root: str) -> Any:
    """The schema with its references to itself (`#/$defs/…`) pointing to where it now stands."""
    if isinstance(schema, list):
        return [_moved(each, root) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: root + value[1:]
        if key == "$ref" and isinstance(value, str) and value.startswith("#")
        else _moved(value, root)
        for key, value in schema.items()
    }

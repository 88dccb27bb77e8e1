"""`tool_choice` "required" or a named tool: Ollama has no such field, so the answer is bound to a JSON schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from backends.json_bytes import json_bytes
from chains.tool_arguments import FittingCall, Toolbox
from chains.tool_text import CallsInText, ToolCallRecogniser
from chains.turn import ToolChoice

# What only a schema that stands by itself may say: within another it would change what references mean.
OF_WHOLE_SCHEMAS = {"$schema", "$id"}


def call_schema(tools: Sequence[Mapping[str, Any]], choice: ToolChoice) -> dict[str, Any] | None:
    """The schema of one tool call among those the choice allows; None where the model need not call."""
    if choice.kind != "required":
        return None
    allowed = allowed_tools(tools, choice)
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


def read_calls(text: str, tools: Sequence[Mapping[str, Any]], choice: ToolChoice) -> list[FittingCall]:
    """The calls in a whole answer that the choice allows; none where it is no such call.

    An answer that was bound to the schema is taken as it is, since no model's server can bind to all that a schema
    says; one that was not bound must fit.
    """
    toolbox = Toolbox(allowed_tools(tools, choice))
    name, arguments = _bound_call(text)
    if name in toolbox.names and isinstance(arguments, dict):
        return [toolbox.fit(name, arguments) or FittingCall(name, json_bytes(arguments).decode())]
    recogniser = ToolCallRecogniser(toolbox)
    found = [*recogniser.feed(text), *recogniser.finish()]
    return [call for each in found if isinstance(each, CallsInText) for call in each.calls]


def _bound_call(text: str) -> tuple[Any, Any]:
    try:
        call = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None, None
    return (call.get("name"), call.get("arguments")) if isinstance(call, dict) else (None, None)


def allowed_tools(tools: Sequence[Mapping[str, Any]], choice: ToolChoice) -> list[Mapping[str, Any]]:
    """The tools that may be called."""
    return [tool for tool in tools if choice.name in {None, tool["function"]["name"]}]


def _moved(schema: Any, root: str) -> Any:
    """The schema as a part of another, its references to itself (`#/$defs/…`) pointing to where it now stands."""
    if isinstance(schema, list):
        return [_moved(each, root) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: root + value[1:]
        if key == "$ref" and isinstance(value, str) and value.startswith("#")
        else _moved(value, root)
        for key, value in schema.items()
        if not (key in OF_WHOLE_SCHEMAS and isinstance(value, str))
    }

"""`tool_choice` "required" or a named tool: Ollama has no such field, so the answer is bound to a JSON schema."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from chains.turn import ToolChoice


def call_schema(tools: Sequence[Mapping[str, Any]], choice: ToolChoice) -> dict[str, Any] | None:
    """The schema of one tool call among those the choice allows; None where the model need not call."""
    if choice.kind != "required":
        return None
    calls = [
        {
            "type": "object",
            "properties": {
                "name": {"const": tool["function"]["name"]},
                "arguments": tool["function"].get("parameters") or {"type": "object"},
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools
        if choice.name in {None, tool["function"]["name"]}
    ]
    return calls[0] if len(calls) == 1 else {"anyOf": calls}


def parse_call(text: str, tools: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Name and arguments (a JSON text) of the call in a whole answer; None where it is none of an offered tool."""
    try:
        call = json.loads(text)
    except ValueError:
        return None
    if not isinstance(call, dict) or not isinstance(call.get("arguments"), dict):
        return None
    if call.get("name") not in {tool["function"]["name"] for tool in tools}:
        return None
    return call["name"], json.dumps(call["arguments"], ensure_ascii=False)

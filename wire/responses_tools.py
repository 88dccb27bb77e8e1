"""The tools of `POST /v1/responses`. Source: OpenAI's API reference, responses/create.

A chat knows no namespaces, so a function of one is a tool named `namespace__function` to the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from wire.refused import only_tools_of_type

Json = dict[str, Any]


class _Tool(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Function(_Tool):
    """A function on offer; tools that run at OpenAI's are not to be had here."""

    type: Annotated[Literal["function"], only_tools_of_type("function")]
    name: str = Field(min_length=1, max_length=256)
    description: str | None = None
    parameters: Json | None = None
    strict: bool | None = None


class Namespace(_Tool):
    """Functions that belong together, as Codex sends those of an MCP server; their names are their own."""

    type: Literal["namespace"]
    name: str = Field(min_length=1, max_length=256)
    description: str | None = None
    tools: list[Function]


class NamedTool(_Tool):
    """`tool_choice` as an object."""

    type: Annotated[Literal["function"], only_tools_of_type("function")]
    name: str = Field(min_length=1)


class AllowedTools(_Tool):
    """`tool_choice` as a choice among the tools on offer."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[NamedTool] = Field(min_length=1)


def _kind_of(value: Any) -> Any:
    return value.get("type") if isinstance(value, dict) else getattr(value, "type", None)


def _kind_of_tool(value: Any) -> str:
    return "namespace" if _kind_of(value) == "namespace" else "function"


def _kind_of_choice(value: Any) -> str:
    if isinstance(value, str):
        return "mode"
    return "allowed" if _kind_of(value) == "allowed_tools" else "named"


Tool = Annotated[
    Annotated[Function, Tag("function")] | Annotated[Namespace, Tag("namespace")], Discriminator(_kind_of_tool)
]
ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("mode")]
    | Annotated[NamedTool, Tag("named")]
    | Annotated[AllowedTools, Tag("allowed")],
    Discriminator(_kind_of_choice),
]


def model_name(namespace: str | None, name: str) -> str:
    """How the model knows a function."""
    return f"{namespace}__{name}" if namespace else name


def own_names(tools: Iterable[Function | Namespace]) -> dict[str, Json]:
    """By the model's name of a function: `name`, and `namespace` where it has one."""
    return {
        model_name(namespace, function.name): {"name": function.name} | ({"namespace": namespace} if namespace else {})
        for namespace, function in _functions(tools)
    }


def chat_tools(tools: Iterable[Function | Namespace]) -> list[Json]:
    """All functions as a chat's tools."""
    return [
        {
            "type": "function",
            "function": function.model_dump(exclude={"type"}, exclude_none=True)
            | {"name": model_name(namespace, function.name)},
        }
        for namespace, function in _functions(tools)
    ]


def chat_tool_choice(choice: Any) -> Any:
    """A `ToolChoice` as a chat's."""
    match choice:
        case NamedTool() as tool:
            return _named(tool)
        case AllowedTools(mode=mode, tools=tools):
            return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [_named(tool) for tool in tools]}}
        case mode:
            return mode


def _named(tool: NamedTool) -> Json:
    return {"type": "function", "function": {"name": tool.name}}


def _functions(tools: Iterable[Function | Namespace]) -> Iterator[tuple[str | None, Function]]:
    for tool in tools:
        if isinstance(tool, Namespace):
            yield from ((tool.name, function) for function in tool.tools)
        else:
            yield None, tool

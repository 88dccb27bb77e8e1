"""The tools of `POST /v1/responses`. Source: OpenAI's API reference, responses/create.

A chat knows no namespaces, so a function of one is a tool named `namespace__function` to the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from wire.refused import only_tools_of_type

Json = dict[str, Any]


class _Tool(BaseModel):
    model_config = ConfigDict(extra="ignore", defer_build=True)


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

    @property
    def told(self) -> list[Function]:
        """Its functions; the first also tells what the namespace is for, as a chat has no other place for that."""
        if not self.description or not self.tools:
            return self.tools
        first, *others = self.tools
        description = "\n\n".join(filter(None, (self.description, first.description)))
        return [first.model_copy(update={"description": description}), *others]


class NamedTool(_Tool):
    """`tool_choice` as an object."""

    type: Annotated[Literal["function"], only_tools_of_type("function")]
    name: str = Field(min_length=1)
    namespace: str | None = None


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


def chat_tool_choice(choice: Any, offered: Mapping[str, Json]) -> Any:
    """A `ToolChoice` as a chat's, among the `own_names` of the tools."""
    match choice:
        case NamedTool():
            return _named(choice, offered)
        case AllowedTools(mode=mode):
            tools = [_named(tool, offered) for tool in choice.tools]
            return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}
        case mode:
            return mode


def _named(tool: NamedTool, offered: Mapping[str, Json]) -> Json:
    """A name alone, as OpenAI's own form has it, is also that of the one function in a namespace that is called so."""
    name = model_name(tool.namespace, tool.name)
    alike = [known for known, own in offered.items() if own["name"] == name]
    if name not in offered and len(alike) == 1:
        name = alike[0]
    return {"type": "function", "function": {"name": name}}


def _functions(tools: Iterable[Function | Namespace]) -> Iterator[tuple[str | None, Function]]:
    for tool in tools:
        if isinstance(tool, Namespace):
            yield from ((tool.name, function) for function in tool.told)
        else:
            yield None, tool

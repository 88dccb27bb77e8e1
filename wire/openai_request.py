"""The body of `POST /v1/chat/completions`, validated. Source: OpenAI's API reference, chat/create."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import jsonschema
from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from backends.json_bytes import json_bytes
from chains.json_schema import checked_dialect
from config.errors import BadRequest
from wire.openai_messages import Message, Part
from wire.refused import Refused, only_tools_of_type, refuse_fields

MAX_STOPS = 4
MAX_STOP_CHARS = 1000
# What takes some tenths of a second to look at; a larger schema is left to the model's server.
CHECKED_SCHEMA_BYTES = 32_768
REFUSED: Refused = {
    "audio": ((), "the models here do not speak"),
    "function_call": ((), "function_call is old: send tool_choice"),
    "functions": (([],), "functions are old: send them as tools"),
    "logit_bias": (({},), "Ollama cannot bias single tokens"),
    "logprobs": ((False,), "the models here give no log probabilities"),
    "modalities": ((["text"], []), "the models here answer in text only"),
    "moderation": ((), "nothing is moderated here"),
    "n": ((1,), "one answer a request is given"),
    "prediction": ((), "the models here cannot use a predicted answer"),
    "top_logprobs": ((0,), "the models here give no log probabilities"),
    "verbosity": (("medium",), "the models here have no such setting: ask for it in words"),
    "web_search_options": ((), "the router searches nothing on the web: offer a tool that does"),
}


class FunctionSpec(Part):
    """A tool's name, description and the JSON schema of its arguments."""

    model_config = ConfigDict(extra="allow")
    name: str = Field(min_length=1, max_length=256)
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolSpec(Part):
    """A tool on offer."""

    type: Annotated[Literal["function"], only_tools_of_type("function")]
    function: FunctionSpec

    def as_sent(self) -> dict[str, Any]:
        """Without fields that are null; its schema is the client's own, which nobody may change."""
        sent = vars(self.function) | (self.function.model_extra or {})
        return {"type": self.type, "function": {key: value for key, value in sent.items() if value is not None}}


class NamedFunction(Part):
    """The name of a tool that must be called."""

    name: str = Field(min_length=1)


class NamedTool(Part):
    """`tool_choice` as an object."""

    type: Annotated[Literal["function"], only_tools_of_type("function")]
    function: NamedFunction


class AllowedTools(Part):
    """The tools that may be called, among those on offer."""

    mode: Literal["auto", "required"]
    tools: list[NamedTool] = Field(min_length=1)


class AllowedToolsChoice(Part):
    """`tool_choice` as a choice of tools."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


def _check_schema(schema: dict[str, Any]) -> dict[str, Any]:
    try:
        if len(json_bytes(schema)) <= CHECKED_SCHEMA_BYTES:
            checked_dialect(schema)
    except jsonschema.SchemaError as error:
        raise ValueError(f"is no JSON schema: mend it at {error.json_path[:100]}") from None
    except RecursionError:
        raise ValueError("nests too deep to be looked at: make it flatter") from None
    return schema


class JsonSchemaSpec(Part):
    """The schema of `response_format`."""

    name: str | None = None
    schema_: Annotated[dict[str, Any], AfterValidator(_check_schema)] = Field(alias="schema")


class ResponseFormat(Part):
    """What the answer must be."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaSpec | None = None

    @model_validator(mode="after")
    def _has_schema(self) -> Self:
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("json_schema is missing beside type json_schema")
        return self


class StreamOptions(Part):
    """Whether the stream ends with the usage."""

    include_usage: bool | None = False


def _kind_of_choice(value: Any) -> str:
    if isinstance(value, str):
        return "ToolMode"
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return "AllowedToolsChoice" if kind == "allowed_tools" else "NamedTool"


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("ToolMode")]
    | Annotated[NamedTool, Tag("NamedTool")]
    | Annotated[AllowedToolsChoice, Tag("AllowedToolsChoice")],
    Discriminator(_kind_of_choice),
]


class ChatRequest(BaseModel):
    """One chat completion. Fields that clients send and no model here can honour are refused by name."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(min_length=1, max_length=200)
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    tools: list[ToolSpec] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: int | None = Field(default=None, ge=0, lt=2**31)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: str | list[str] | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    response_format: ResponseFormat | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    metadata: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _nothing_unsupported(cls, values: Any) -> Any:
        return refuse_fields(values, REFUSED)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.stops) > MAX_STOPS or any(len(stop) > MAX_STOP_CHARS for stop in self.stops):
            raise BadRequest(
                f"stop: send at most {MAX_STOPS} texts of at most {MAX_STOP_CHARS} characters.", param="stop"
            )
        names = {tool.function.name for tool in self.tools or []}
        for tool in self.named_tools:
            if tool.function.name not in names:
                raise BadRequest(
                    f"tool_choice names {tool.function.name!r}, which is not among tools: offer it there.",
                    param="tool_choice",
                )
        if self.tool_choice == "required" and not names:
            raise BadRequest("tool_choice asks for a call, but there are no tools: send some.", param="tools")
        if self.tools and self.tool_choice != "none" and self.answer_form is not None:
            raise BadRequest(
                "response_format and tools cannot both bind an answer here: send tool_choice none, or no "
                "response_format.",
                param="response_format",
            )
        return self

    @property
    def answer_form(self) -> Mapping[str, Any] | Literal["json"] | None:
        """What the answer must be: of this JSON schema, any JSON, or (None) any text."""
        wanted = self.response_format
        if wanted is None or wanted.type == "text":
            return None
        return wanted.json_schema.schema_ if wanted.json_schema else "json"

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop texts that say anything."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(filter(None, stops))

    @property
    def named_tools(self) -> list[NamedTool]:
        """The tools that `tool_choice` names."""
        if isinstance(self.tool_choice, NamedTool):
            return [self.tool_choice]
        return self.tool_choice.allowed_tools.tools if isinstance(self.tool_choice, AllowedToolsChoice) else []

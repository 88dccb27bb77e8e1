"""The body of `POST /v1/chat/completions`, validated. Source: OpenAI's API reference, chat/create."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from config.errors import BadRequest

MAX_STOPS = 16
UNSUPPORTED = {
    "n": (1, "one answer a request is given"),
    "logprobs": (False, "the models here give no log probabilities"),
    "top_logprobs": (0, "the models here give no log probabilities"),
    "functions": ([], "functions are old: send them as tools"),
    "function_call": (None, "function_call is old: send tool_choice"),
    "audio": (None, "the models here do not speak"),
    "logit_bias": ({}, "Ollama cannot bias single tokens"),
}


_DATA_URI = re.compile(r"data:image/[a-zA-Z0-9.+-]+;base64,[A-Za-z0-9+/=\s]+")


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class TextPart(_Part):
    """A piece of text."""

    type: Literal["text"]
    text: str


class ImageUrl(_Part):
    """An image as a data URI."""

    url: str

    @field_validator("url")
    @classmethod
    def _is_data_uri(cls, url: str) -> str:
        if not _DATA_URI.fullmatch(url):
            raise ValueError("must be a data URI (data:image/png;base64,…), as the service fetches nothing")
        return url


class ImagePart(_Part):
    """An image; only data URIs, as the service fetches nothing."""

    type: Literal["image_url"]
    image_url: ImageUrl


UserPart = Annotated[TextPart | ImagePart, Field(discriminator="type")]


def _kind_of_content(value: Any) -> str:
    return "parts" if isinstance(value, list) else "text"


UserContent = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[UserPart], Tag("parts")], Discriminator(_kind_of_content)
]
TextContent = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[TextPart], Tag("parts")], Discriminator(_kind_of_content)
]


class SystemTurn(_Part):
    """Instructions of the client's; `developer` is the newer name."""

    role: Literal["system", "developer"]
    content: TextContent


class UserTurn(_Part):
    """What a person or the client on their behalf says."""

    role: Literal["user"]
    content: UserContent


class FunctionCall(_Part):
    """Name and arguments of a call; arguments are a JSON text."""

    name: str = Field(min_length=1)
    arguments: str = "{}"


class ToolCall(_Part):
    """A call the model made in an earlier turn."""

    id: str = Field(min_length=1)
    type: Literal["function"] = "function"
    function: FunctionCall


class AssistantTurn(_Part):
    """An earlier answer of the model's; content may be null where it called tools."""

    role: Literal["assistant"]
    content: TextContent | None = None
    tool_calls: list[ToolCall] | None = None
    reasoning_content: str | None = None


class ToolTurn(_Part):
    """The result of a tool call."""

    role: Literal["tool"]
    tool_call_id: str = Field(min_length=1)
    content: TextContent


Message = Annotated[SystemTurn | UserTurn | AssistantTurn | ToolTurn, Field(discriminator="role")]


class FunctionSpec(_Part):
    """A tool's name, description and the JSON schema of its arguments."""

    model_config = ConfigDict(extra="allow")
    name: str = Field(min_length=1, max_length=256)
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolSpec(_Part):
    """A tool on offer."""

    type: Literal["function"]
    function: FunctionSpec

    def as_sent(self) -> dict[str, Any]:
        """Without fields that are null; its schema is the client's own, which nobody may change."""
        return {"type": self.type, "function": {key: value for key, value in self.function if value is not None}}


class NamedFunction(_Part):
    """The name of a tool that must be called."""

    name: str = Field(min_length=1)


class NamedTool(_Part):
    """`tool_choice` as an object."""

    type: Literal["function"]
    function: NamedFunction


class JsonSchemaSpec(_Part):
    """The schema of `response_format`."""

    name: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")


class ResponseFormat(_Part):
    """What the answer must be."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaSpec | None = None

    @model_validator(mode="after")
    def _has_schema(self) -> Self:
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("json_schema is missing beside type json_schema")
        return self


class StreamOptions(_Part):
    """Whether the stream ends with the usage."""

    include_usage: bool | None = False


class ChatRequest(BaseModel):
    """One chat completion. Fields that clients send and no model here can honour are refused by name."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(min_length=1, max_length=200)
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    tools: list[ToolSpec] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: str | list[str] | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    response_format: ResponseFormat | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    metadata: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _nothing_unsupported(cls, values: Any) -> Any:
        for field, (accepted, why) in UNSUPPORTED.items() if isinstance(values, dict) else ():
            if values.get(field) not in (None, accepted):
                raise BadRequest(f"{field} is not supported: {why}.", param=field)
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        if len(stops) > MAX_STOPS:
            raise BadRequest(f"stop has {len(stops)} texts: send at most {MAX_STOPS}.", param="stop")
        names = {tool.function.name for tool in self.tools or []}
        if isinstance(self.tool_choice, NamedTool) and self.tool_choice.function.name not in names:
            raise BadRequest(
                f"tool_choice names {self.tool_choice.function.name!r}, which is not among tools: offer it there.",
                param="tool_choice",
            )
        if self.tool_choice == "required" and not names:
            raise BadRequest("tool_choice is required, but there are no tools: send some.", param="tools")
        return self

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
    ValidationError,
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


def parse_chat_request(body: Any) -> ChatRequest:
    """Validate a decoded body; raises `BadRequest` that names the field as `messages[0].content`."""
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.", param="body")
    try:
        return ChatRequest.model_validate(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        field = _field_name(problem["loc"])
        if problem["type"] in {"union_tag_invalid", "union_tag_not_found"}:
            field, message = _unknown_variant(field, problem["input"])
        else:
            message = str(problem["msg"]).removeprefix("Value error, ")
        raise BadRequest(f"{field or 'body'}: {message[:1].lower()}{message[1:]}.", param=field or None) from None


def _unknown_variant(field: str, given: Any) -> tuple[str, str]:
    """Field and message for a message of an unknown role, or a part of an unknown type."""
    is_message = re.fullmatch(r"messages\[\d+\]", field) is not None
    key, known = ("role", "system, developer, user, assistant or tool") if is_message else ("type", "text or image_url")
    value = given.get(key) if isinstance(given, dict) else None
    found = "is missing" if value is None else f"{str(value)[:40]!r} is unknown"
    return f"{field}.{key}", f"{found}: use {known}"


_UNION_TAGS = {"system", "developer", "user", "assistant", "tool", "parts", "text", "image_url", "NamedTool", "str"}


def _field_name(location: tuple[int | str, ...]) -> str:
    """`("messages", 0, "user", "content", "text")` as `messages[0].content`: without the names of the variants."""
    name = ""
    for depth, part in enumerate(location):
        if isinstance(part, int):
            name += f"[{part}]"
        elif not _is_variant(location, depth):
            name += f".{part}" if name else part
    return name


def _is_variant(location: tuple[int | str, ...], depth: int) -> bool:
    """Whether a part names a union's variant; a part's own `text` or `image_url` comes right after its variant."""
    part = str(location[depth])
    if depth > 0 and location[depth - 1] == location[depth]:
        return False
    if part == "text" and isinstance(location[depth - 1], int) and depth == len(location) - 1:
        return False  # where only text parts may stand there is no variant to name
    return part in _UNION_TAGS or "[" in part or "(" in part

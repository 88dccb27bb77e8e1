"""The body of `POST /v1/responses`, validated. Source: OpenAI's API reference, responses/create."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from wire.openai_messages import DataUri
from wire.refused import Refused, refuse_fields
from wire.responses_tools import Tool, ToolChoice

REFUSED: Refused = {
    "background": ((False,), "an answer ends with its request"),
    "background_options": ((), "an answer ends with its request"),
    "context_management": (([],), "nothing is left out of a conversation in silence"),
    "conversation": ((), "nothing is stored here: send the whole conversation as input"),
    "max_tool_calls": ((), "no tool runs here"),
    "moderation": ((), "nothing is moderated here"),
    "previous_response_id": ((), "nothing is stored here: send the whole conversation as input"),
    "prompt": ((), "no prompts are stored here: send it as instructions"),
    "top_logprobs": ((0,), "the models here give no log probabilities"),
    "truncation": (("disabled",), "nothing is left out of a conversation in silence"),
}


class _Item(BaseModel):
    model_config = ConfigDict(extra="ignore", defer_build=True)


class TextPart(_Item):
    """A piece of text, of either side."""

    type: Literal["input_text", "output_text", "text"]
    text: str


class RefusalPart(_Item):
    """What a model said when it refused."""

    type: Literal["refusal"]
    refusal: str


class ImagePart(_Item):
    """An image as a data URI."""

    type: Literal["input_image"]
    image_url: DataUri


def _kind_of_content(value: Any) -> str:
    return "parts" if isinstance(value, list) else "text"


Part = Annotated[TextPart | RefusalPart | ImagePart, Field(discriminator="type")]
Content = Annotated[Annotated[str, Tag("text")] | Annotated[list[Part], Tag("parts")], Discriminator(_kind_of_content)]


def _check_kind(kind: Any) -> Any:
    if isinstance(kind, str) and kind != "message":
        raise ValueError(
            f"{kind[:40]!r} cannot be read here: nothing is stored, so send messages, function calls, their outputs "
            "and reasoning as a whole"
        )
    return kind


class MessageItem(_Item):
    """What somebody said; `type` may be left out."""

    type: Annotated[Literal["message"], BeforeValidator(_check_kind)] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: Content

    @field_validator("content")
    @classmethod
    def _says_something(cls, content: Content, info: ValidationInfo) -> Content:
        if content == [] and info.data.get("role") == "user":
            raise ValueError("has 0 entries: send at least 1")
        return content


class CallItem(_Item):
    """A call the model made in an earlier turn."""

    type: Literal["function_call"]
    call_id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    namespace: str | None = None
    arguments: str = "{}"


class CallOutputItem(_Item):
    """The result of a call."""

    type: Literal["function_call_output"]
    call_id: str = Field(min_length=1)
    output: Content


class ReasoningText(_Item):
    """A piece of thinking."""

    text: str


class ReasoningItem(_Item):
    """The model's thinking of an earlier turn; what another service encrypted is passed over."""

    type: Literal["reasoning"]
    content: list[ReasoningText] | None = None


_KINDS = ("function_call", "function_call_output", "reasoning")


def _kind_of_item(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return kind if kind in _KINDS else "message"


Item = Annotated[
    Annotated[MessageItem, Tag("message")]
    | Annotated[CallItem, Tag("function_call")]
    | Annotated[CallOutputItem, Tag("function_call_output")]
    | Annotated[ReasoningItem, Tag("reasoning")],
    Discriminator(_kind_of_item),
]
Input = Annotated[Annotated[str, Tag("text")] | Annotated[list[Item], Tag("parts")], Discriminator(_kind_of_content)]


class TextFormat(_Item):
    """What the answer must be."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")


def _check_verbosity(verbosity: Any) -> Any:
    if verbosity in ("low", "high"):
        raise ValueError("the models here have no such setting: ask for it in words")
    return verbosity


class TextConfig(_Item):
    """The answer's format."""

    format: TextFormat | None = None
    verbosity: Annotated[Literal["medium"] | None, BeforeValidator(_check_verbosity)] = None


class Reasoning(_Item):
    """How much the model may think."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None


def _check_included(wanted: str) -> str:
    if wanted == "message.output_text.logprobs":
        raise ValueError("the models here give no log probabilities")
    return wanted


class ResponsesRequest(BaseModel):
    """One response. Fields that no model here can honour are refused by name."""

    model_config = ConfigDict(extra="ignore", defer_build=True)

    model: str = Field(min_length=1, max_length=200)
    input: Input
    instructions: str | None = None
    stream: bool | None = False
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    max_output_tokens: int | None = Field(default=None, ge=1)
    text: TextConfig | None = None
    reasoning: Reasoning | None = None
    metadata: dict[str, Any] | None = None
    include: list[Annotated[str, AfterValidator(_check_included)]] | None = None

    @model_validator(mode="before")
    @classmethod
    def _nothing_unsupported(cls, values: Any) -> Any:
        return refuse_fields(values, REFUSED)

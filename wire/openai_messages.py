"""The messages of `POST /v1/chat/completions`, validated. Source: OpenAI's API reference, chat/create."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from chains.turn import is_image_uri


class Part(BaseModel):
    """What is known of a part of a request; what a client sends beside it is left aside."""

    model_config = ConfigDict(extra="ignore")


class TextPart(Part):
    """A piece of text."""

    type: Literal["text"]
    text: str


def _check_data_uri(url: str) -> str:
    if not is_image_uri(url):
        raise ValueError(
            "must be an image as a data URI in base64 (data:image/png;base64,…), as the service fetches nothing"
        )
    return url


DataUri = Annotated[str, AfterValidator(_check_data_uri)]


class ImageUrl(Part):
    """An image as a data URI."""

    url: DataUri


class ImagePart(Part):
    """An image; only data URIs, as the service fetches nothing."""

    type: Literal["image_url"]
    image_url: ImageUrl


class RefusalPart(Part):
    """What a model said when it refused, in an earlier turn."""

    type: Literal["refusal"]
    refusal: str

    @property
    def text(self) -> str:
        """The refusal's words: to the model they are its answer like any other."""
        return self.refusal


UserPart = Annotated[TextPart | ImagePart, Field(discriminator="type")]


def _kind_of_content(value: Any) -> str:
    return "parts" if isinstance(value, list) else "text"


UserContent = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[UserPart], Field(min_length=1), Tag("parts")],
    Discriminator(_kind_of_content),
]
TextContent = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[TextPart], Tag("parts")], Discriminator(_kind_of_content)
]
ResultContent = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[UserPart], Tag("parts")], Discriminator(_kind_of_content)
]
AssistantPart = Annotated[TextPart | RefusalPart, Field(discriminator="type")]
AssistantContent = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[AssistantPart], Tag("parts")], Discriminator(_kind_of_content)
]


class SystemTurn(Part):
    """Instructions of the client's; `developer` is the newer name."""

    role: Literal["system", "developer"]
    content: TextContent


class UserTurn(Part):
    """What a person or the client on their behalf says."""

    role: Literal["user"]
    content: UserContent


class FunctionCall(Part):
    """Name and arguments of a call; arguments are a JSON text."""

    name: str = Field(min_length=1)
    arguments: str = "{}"


class ToolCall(Part):
    """A call the model made in an earlier turn."""

    id: str = Field(min_length=1)
    type: Literal["function"] = "function"
    function: FunctionCall


class AssistantTurn(Part):
    """An earlier answer of the model's; content may be null where it called tools."""

    role: Literal["assistant"]
    content: AssistantContent | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: None = None
    audio: None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class ToolTurn(Part):
    """The result of a tool call; clients send null where a tool said nothing."""

    role: Literal["tool"]
    tool_call_id: str = Field(min_length=1)
    content: ResultContent | None = None


Message = Annotated[SystemTurn | UserTurn | AssistantTurn | ToolTurn, Field(discriminator="role")]

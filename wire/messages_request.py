"""The body of `POST /v1/messages`, validated. Source: Anthropic's API reference, messages/create."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from chains.turn import is_base64
from wire.messages_document import DocumentBlock
from wire.refused import Refused, only_tools_of_type, refuse_fields

MAX_STOPS = 16
MAX_STOP_CHARS = 1000
_KEEP_ALL: tuple[Any, ...] = ("all", {"type": "all"})
REFUSED: Refused = {
    "compaction": ((), "no model here writes such blocks: ask for a summary in words"),
    "container": ((), "no code runs here"),
    "context_management": (
        ({}, {"edits": []}, *({"edits": [{"type": "clear_thinking_20251015", "keep": keep}]} for keep in _KEEP_ALL)),
        "nothing is taken out of a conversation here: leave out what the model need not see",
    ),
    "diagnostics": ((), "the models' server does not tell why it read a prompt anew"),
    "mcp_servers": (([],), "nothing here connects to MCP servers: let your agent do that"),
    "output_format": ((), "output_format is old: send output_config.format"),
    "thread": ((), "nothing is stored here: send the whole conversation as messages"),
}
IMAGE_TYPES = Literal["image/jpeg", "image/png", "image/gif", "image/webp"]


class _Block(BaseModel):
    model_config = ConfigDict(extra="ignore", defer_build=True)


class TextBlock(_Block):
    """A piece of text."""

    type: Literal["text"]
    text: str


def _check_base64(data: str) -> str:
    if not is_base64(data):
        raise ValueError("must be an image in base64")
    return data


class Base64Source(_Block):
    """An image's bytes; only these, as the service fetches nothing."""

    type: Literal["base64"]
    media_type: IMAGE_TYPES
    data: Annotated[str, AfterValidator(_check_base64)]


class ImageBlock(_Block):
    """An image."""

    type: Literal["image"]
    source: Base64Source


class ToolUseBlock(_Block):
    """A call the model made in an earlier turn."""

    type: Literal["tool_use"]
    id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    input: dict[str, Any] = {}


class ThinkingBlock(_Block):
    """The model's thinking of an earlier turn."""

    type: Literal["thinking"]
    thinking: str


class RedactedThinkingBlock(_Block):
    """Thinking that another service made unreadable."""

    type: Literal["redacted_thinking"]


def _kind_of_content(value: Any) -> str:
    return "blocks" if isinstance(value, list) else "text"


ResultPart = Annotated[TextBlock | ImageBlock | DocumentBlock, Field(discriminator="type")]
ResultContent = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[ResultPart], Tag("blocks")], Discriminator(_kind_of_content)
]


class ToolResultBlock(_Block):
    """The result of a tool call."""

    type: Literal["tool_result"]
    tool_use_id: str = Field(min_length=1)
    content: ResultContent = ""
    is_error: bool | None = None


UserBlock = Annotated[TextBlock | ImageBlock | DocumentBlock | ToolResultBlock, Field(discriminator="type")]
AssistantBlock = Annotated[
    TextBlock | ToolUseBlock | ThinkingBlock | RedactedThinkingBlock, Field(discriminator="type")
]
UserContent = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[UserBlock], Field(min_length=1), Tag("blocks")],
    Discriminator(_kind_of_content),
]
AssistantContent = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[AssistantBlock], Tag("blocks")], Discriminator(_kind_of_content)
]
SystemContent = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[TextBlock], Tag("blocks")], Discriminator(_kind_of_content)
]


class UserMessage(_Block):
    """What a person, or a tool, says."""

    role: Literal["user"]
    content: UserContent


class AssistantMessage(_Block):
    """An earlier answer of the model's."""

    role: Literal["assistant"]
    content: AssistantContent


class SystemMessage(_Block):
    """Instructions within the conversation."""

    role: Literal["system"]
    content: SystemContent


Message = Annotated[UserMessage | AssistantMessage | SystemMessage, Field(discriminator="role")]


class Tool(_Block):
    """A tool on offer; those that run at Anthropic's are not to be had here."""

    type: Annotated[Literal["custom"] | None, only_tools_of_type("custom")] = None
    name: str = Field(min_length=1, max_length=256)
    description: str | None = None
    input_schema: dict[str, Any]


class ToolChoice(_Block):
    """Whether and which tool must be called."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None

    @model_validator(mode="after")
    def _is_named(self) -> ToolChoice:
        if self.type == "tool" and not self.name:
            raise ValueError("name is missing beside type tool")
        return self


class Thinking(_Block):
    """Whether the model thinks first; a budget is not kept, as no model here has one."""

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]


class OutputFormat(_Block):
    """The schema the answer must fit."""

    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class OutputConfig(_Block):
    """How much effort the answer is worth, and its form."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class Metadata(_Block):
    """Advisory."""

    user_id: str | None = None


class CountRequest(BaseModel):
    """What is counted by `POST /v1/messages/count_tokens`."""

    model_config = ConfigDict(extra="ignore", defer_build=True)

    model: str = Field(min_length=1, max_length=200)
    messages: list[Message] = Field(min_length=1)
    system: SystemContent | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _nothing_unsupported(cls, values: Any) -> Any:
        return refuse_fields(values, REFUSED)


class MessagesRequest(CountRequest):
    """One message to be answered. Fields that no model here can honour are refused by name."""

    max_tokens: int = Field(ge=1)
    stream: bool | None = False
    temperature: float | None = Field(default=None, ge=0, le=1)
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: int | None = Field(default=None, ge=0, lt=2**31)
    stop_sequences: list[Annotated[str, Field(max_length=MAX_STOP_CHARS)]] | None = Field(
        default=None, max_length=MAX_STOPS
    )
    metadata: Metadata | None = None

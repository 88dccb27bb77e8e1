"""What the chat APIs answer, as `/docs` and `/openapi.json` show it. The writers make these as plain dictionaries."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

Json = dict[str, Any]


class CalledFunction(BaseModel):
    """Name and arguments of a call; arguments are a complete JSON text."""

    name: str
    arguments: str


class CalledTool(BaseModel):
    """A call the model makes."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class AnswerMessage(BaseModel):
    """The answer; content is null where there are calls only."""

    role: Literal["assistant"]
    content: str | None
    reasoning_content: str | None = None
    tool_calls: list[CalledTool] | None = None


class Choice(BaseModel):
    """The one answer."""

    index: int
    message: AnswerMessage
    logprobs: None
    finish_reason: Literal["stop", "length", "tool_calls"]


class ChatUsage(BaseModel):
    """The model's own counts in tokens; `cached_tokens` where the backend tells."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: Json | None = None


class ChatCompletion(BaseModel):
    """A chat completion; streamed, the same comes in chunks."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage | None = None
    router: Json | None = Field(default=None, description="The decision, for `X-Router-Explain: 1`.")


class OpenAIResponse(BaseModel):
    """A response; `output` holds items of type reasoning, message and function_call."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed", "incomplete"]
    model: str
    output: list[Json]
    usage: Json | None


class AnthropicMessage(BaseModel):
    """A message; `content` holds blocks of type thinking, text and tool_use."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[Json]
    stop_reason: Literal["end_turn", "max_tokens", "tool_use"]
    stop_sequence: None
    usage: Json


class AnthropicError(BaseModel):
    """An error as Anthropic's clients read it."""

    type: Literal["error"]
    error: Json
    request_id: str | None


class TokenCount(BaseModel):
    """How many tokens a prompt would have."""

    input_tokens: int


class Embedding(BaseModel):
    """One vector: numbers, or little-endian float32 in base64."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    """Tokens by the router's own tokenizer."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """Vectors in the order of the texts."""

    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: EmbeddingUsage


class Model(BaseModel):
    """A model id and what a client may count on; windows and limits in tokens."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "cline-memory-router"
    context_window: int | None = None
    max_output_tokens: int | None = None
    capabilities: list[Literal["chat", "tools", "vision", "thinking", "embeddings"]] | None = None
    model: str | None = Field(default=None, description="The Ollama model behind a role.")


class Models(BaseModel):
    """All model ids."""

    object: Literal["list"]
    data: list[Model]


class RouteExplained(BaseModel):
    """Who would answer, why, and how the tokens are made up."""

    decision: Json
    ledger: Json


class Readiness(BaseModel):
    """Whether a request can be answered now, and why not."""

    status: Literal["ready", "not ready"]
    reason: str

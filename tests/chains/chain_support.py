"""Turns, models and passages as the chains see them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import agenerate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from chains.answer import AnswerRequest, stream_answer
from chains.decide import RoleClassifier, Router
from chains.events import AnswerEvent
from chains.features import Previous
from chains.ledger import PromptParts
from chains.turn import Turn
from config.load import load_settings
from config.schema import ROLES, Role, RoutingSettings

TOOL: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": "read_file",
        "description": "Read a file.",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    },
}
OTHER_TOOL: Mapping[str, Any] = {"type": "function", "function": {"name": "list_files"}}
IMAGE: dict[str, Any] = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}

FALLBACKS: Mapping[Role, tuple[Role, ...]] = {
    role: settings.fallbacks for role, settings in load_settings(environment={}).models.roles.items()
}
NAMES: Mapping[Role, str] = {
    role: settings.model for role, settings in load_settings(environment={}).models.roles.items()
}
DONE = {"done": True, "done_reason": "stop"}
SMALL = PromptParts(system=10, tools=0, history=10)


@dataclass(frozen=True)
class Model:
    name: str
    window_tokens: int
    tools: bool = True
    vision: bool = False


REFERENCE: dict[Role, Model] = {
    "memory_fast": Model(NAMES["memory_fast"], 40_960),
    "implementation": Model(NAMES["implementation"], 131_072),
    "memory_analysis": Model(NAMES["memory_analysis"], 200_000, vision=True),
}


@dataclass(frozen=True)
class Note:
    source: str
    text: str


@dataclass(frozen=True)
class Judged:
    probabilities: Mapping[Role, float]
    evidence: tuple[str, ...] = ()
    abstains: bool = False


WORDS: Mapping[Role, tuple[str, ...]] = {
    "memory_fast": ("where are we", "what is left", "remind me"),
    "memory_analysis": ("make a plan", "plan the", "architecture"),
    "implementation": ("fix", "write", "refactor", "implement"),
}


@dataclass
class WordClassifier:
    """Finds a role by its words, sure of it; abstains where there are none. `asked` keeps what it was shown."""

    asked: list[tuple[str, Any, Previous | None]] = field(default_factory=list)
    answer: Judged | None = None

    def classify(self, text: str, *, vector: Sequence[float] | None = None, previous: Previous | None = None) -> Judged:
        self.asked.append((text, vector, previous))
        if self.answer is not None:
            return self.answer
        for role, words in WORDS.items():
            if any(word in text.lower() for word in words):
                return judged(role)
        return Judged({"memory_fast": 0.3, "implementation": 0.4, "memory_analysis": 0.3}, ("no word known",), True)


def judged(role: Role, sure: float = 0.9, *, abstains: bool = False) -> Judged:
    rest = (1 - sure) / 2
    return Judged({each: sure if each == role else rest for each in ROLES}, (f"words of {role}",), abstains)


def router(routing: RoutingSettings | None = None, classifier: RoleClassifier | None = None) -> Router:
    return Router(
        classifier=classifier,
        routing=load_settings(environment={}).models.routing if routing is None else routing,
        fallbacks=FALLBACKS,
        model_names=NAMES,
        automatic_names=frozenset({"cline-memory-router", "auto", "router-auto"}),
    )


def weighing() -> Router:
    """One with a classifier that goes by words."""
    return router(classifier=WordClassifier())


def person(text: str, **changes: Any) -> Turn:
    """A Turn of one message of a person."""
    messages: tuple[BaseMessage, ...] = changes.pop("messages", (HumanMessage(text),))
    return Turn(messages=messages, person_text=text, person_index=len(messages) - 1, **changes)


def parts(tokens: int) -> PromptParts:
    return PromptParts(system=0, tools=0, history=tokens)


def reference_without(*roles: Role) -> dict[Role, Model]:
    return {role: REFERENCE[role] for role in ROLES if role not in roles}


def chunk(text: str = "", **changes: Any) -> ChatGenerationChunk:
    told = changes.pop("told", None)
    if thinking := changes.pop("thinking", None):
        changes["additional_kwargs"] = {"reasoning_content": thinking}
    return ChatGenerationChunk(message=AIMessageChunk(content=text, **changes), generation_info=told)


def call(name: str, args: dict[str, Any]) -> ChatGenerationChunk:
    return chunk(tool_calls=[{"type": "tool_call", "id": None, "name": name, "args": args}])


class ChunkModel(BaseChatModel):
    """Yields chunks as scripted, raises errors and awaits events between them, and keeps what it was called with.

    `then` are the chunks of further calls, where they are others.
    """

    chunks: list[Any]
    then: list[Any] | None = None
    calls: list[dict[str, Any]]
    asked: list[list[BaseMessage]]
    closed: list[bool]

    @property
    def _llm_type(self) -> str:
        return "chunks"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await agenerate_from_stream(self._astream(messages, stop, run_manager, **kwargs))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        self.calls.append(kwargs)
        self.asked.append(messages)
        try:
            for each in self.chunks if self.then is None or len(self.calls) == 1 else self.then:
                if isinstance(each, Exception):
                    raise each
                if isinstance(each, asyncio.Event):
                    await each.wait()
                    continue
                yield each
        finally:
            self.closed.append(True)


def model(*chunks: Any) -> ChunkModel:
    return ChunkModel(chunks=list(chunks), calls=[], asked=[], closed=[])


def answer_request(turn: Turn | None = None, *, thinks: bool = False, think: bool | None = None) -> AnswerRequest:
    ids: Iterator[int] = iter(range(100))
    turn = turn or person("hello")
    return AnswerRequest(
        messages=turn.messages,
        turn=turn,
        options={"num_ctx": 8192, "temperature": 0.2},
        answer_limit_tokens=777,
        thinks=thinks,
        think=think,
        new_id=lambda: f"call_{next(ids)}",
    )


async def events_of(made: ChunkModel, asked: AnswerRequest | None = None) -> list[AnswerEvent]:
    return [event async for event in stream_answer(made, asked or answer_request())]

"""A graph's collaborators without patching: models that say what they are told to, a memory that is a list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langgraph.store.base import BaseStore

from backends.types import LoadedModel, ModelCard, Occupancy
from chains.events import RouterEvent
from chains.seconds import Speed
from chains.turn import Turn
from config.errors import RouterError
from config.schema import ROLES, Role
from config.settings import MemorySettings
from graphs.deps import Deps
from graphs.router import build_router_graph
from graphs.sessions import Sessions
from graphs.speeds import Speeds
from retrievers.types import Passage, Retrieval
from tests.chains.chain_support import DONE, NAMES, ChunkModel, WordClassifier, chunk, model, router

SPEEDS: dict[Role, Speed] = {
    "memory_fast": Speed(8, 1500, 50),
    "implementation": Speed(14, 300, 10),
    "memory_analysis": Speed(18, 40, 6),
}
GRAPH = build_router_graph()
WORKSPACE = Path("workspace")


def card(role: Role, *, window: int = 8192, **changes: Any) -> ModelCard:
    values: dict[str, Any] = {
        "role": role,
        "name": NAMES[role],
        "window_tokens": window,
        "answer_limit_tokens": 1024,
        "options": {"num_ctx": window, "temperature": 0.2},
        "tools": True,
        "vision": False,
        "thinking": False,
        "think": None,
    }
    return ModelCard(**values | changes)


def says(*texts: str) -> ChunkModel:
    usage = {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}
    return model(*map(chunk, texts), chunk(told=DONE, usage_metadata=usage))


def passage(text: str, file: str = "memory-bank/progress.md", heading: str = "") -> Passage:
    return Passage(text, file, heading, 1, 1, datetime(2026, 1, 1, tzinfo=UTC))


def occupied(*names: str, calls: Mapping[str, int] | None = None) -> Occupancy:
    """These models are loaded."""
    return Occupancy({name: LoadedModel(name, None, 0, 0, None) for name in names}, calls or {})


@dataclass
class FakeModels:
    """One model for all roles; `leased` and `freed` are the names of cards, in order."""

    model: BaseChatModel
    known: Mapping[Role, ModelCard] = field(default_factory=lambda: {role: card(role) for role in ROLES})
    error: RouterError | None = None
    occupied: Occupancy = field(default_factory=lambda: occupied(*NAMES.values()))
    counts: Callable[[Sequence[Any]], int] | None = None
    leased: list[str] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)
    warmed: list[Role] = field(default_factory=list)

    def warm(self, role: Role) -> None:
        self.warmed.append(role)

    async def cards(self) -> Mapping[Role, ModelCard]:
        if self.error:
            raise self.error
        return self.known

    async def occupancy(self) -> Occupancy:
        return self.occupied

    async def count_prompt(self, card: ModelCard, messages: Sequence[Any], tools: Sequence[Any]) -> int | None:
        return self.counts(messages) if self.counts else None

    @asynccontextmanager
    async def lease(self, card: ModelCard) -> AsyncIterator[BaseChatModel]:
        self.leased.append(card.name)
        try:
            yield self.model
        finally:
            self.freed.append(card.name)


@dataclass
class FakeMemory:
    """Recalls the same passages whatever is asked; `asked` keeps workspace, question and budget, `vectors` theirs."""

    passages: tuple[Passage, ...] = ()
    note: str | None = None
    asked: list[tuple[Path, str, int]] = field(default_factory=list)
    vectors: list[Sequence[float] | None] = field(default_factory=list)

    async def recall(
        self, workspace: Path, query: str, budget_tokens: int, *, query_vector: Sequence[float] | None = None
    ) -> Retrieval:
        self.asked.append((workspace, query, budget_tokens))
        self.vectors.append(query_vector)
        return Retrieval(self.passages, note=self.note)


def deps(
    models: FakeModels,
    memory: FakeMemory | None = None,
    store: BaseStore | None = None,
    settings: MemorySettings | None = None,
    **more: Any,
) -> Deps:
    ids = count(1)
    values: dict[str, Any] = {
        "models": models,
        "router": router(classifier=WordClassifier()),
        "memory": memory or FakeMemory(),
        "memory_settings": settings or MemorySettings(),
        "sessions": Sessions(store),
        "speeds": Speeds(SPEEDS, NAMES),
        "new_id": lambda: f"call_{next(ids)}",
    }
    return Deps(**values | more)


async def run(turn: Turn, context: Deps) -> dict[str, Any]:
    """The whole final state of a run, more than its output."""
    states = [
        state
        async for state in GRAPH.astream(
            {"turn": turn}, context=context, stream_mode="values", output_keys=list(GRAPH.channels)
        )
    ]
    return dict(states[-1])


async def events_of(turn: Turn, context: Deps) -> list[RouterEvent]:
    events: AsyncIterator[Any] = GRAPH.astream({"turn": turn}, context=context, stream_mode="custom")
    return [event async for event in events]


def contents(asked: Sequence[Any]) -> list[Any]:
    return [message.content for message in asked]

"""The nodes' collaborators: frozen, small, given to a run as LangGraph's context."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from backends.types import Models
from chains.counting import TokenCounts
from chains.decide import Router
from chains.events import RouterEvent
from config.schema import Role
from config.settings import MemorySettings
from graphs.sessions import Sessions
from graphs.speeds import Speeds
from retrievers.types import Retrieval


class Memory(Protocol):
    """Reads what a project's memory bank knows about a question."""

    async def recall(
        self, workspace: Path, query: str, budget_tokens: int, *, query_vector: Sequence[float] | None = None
    ) -> Retrieval:
        """Passages of at most `budget_tokens`, best first or in reading order; empty with a note, never an error.

        `query_vector` is the query's embedding where it was made already.
        """
        ...


class QueryEmbedder(Protocol):
    """Turns a person's words into a vector; the embedder of the memory bank."""

    @property
    def is_ready(self) -> bool:
        """Whether embedding would start at once."""
        ...

    def embed_query(self, text: str) -> list[float]:
        """Blocks; raises `MemoryUnavailable` if it cannot."""
        ...


@dataclass(frozen=True, slots=True)
class Arbiter:
    """How the routing model is asked where the classifier abstains: the roles' jobs, and how long it may take."""

    jobs: Mapping[Role, str]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a call is made anew that failed in a way that may pass, and the longest pause before the first time."""

    times: int = 0
    first_wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything a node may reach beside the state.

    `embedder` is the one that the classifier was trained with, None where memory uses another; `arbiter` is None where
    it is switched off. `counts` has the tokens of what was counted before. `tell` takes a run's events; without it they
    go into the graph's custom stream, where each wakes the event loop four times.
    """

    models: Models
    router: Router
    memory: Memory
    memory_settings: MemorySettings
    sessions: Sessions
    speeds: Speeds
    new_id: Callable[[], str]
    embedder: QueryEmbedder | None = None
    arbiter: Arbiter | None = None
    counts: TokenCounts = field(default_factory=TokenCounts)
    retries: Retries = Retries()
    tell: Callable[[RouterEvent], None] | None = None

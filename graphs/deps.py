"""The nodes' collaborators: frozen, small, given to a run as LangGraph's context."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backends.types import Models
from chains.decide import Router
from config.schema import MemorySettings
from graphs.sessions import Sessions
from retrievers.types import Retrieval


class Memory(Protocol):
    """Reads what a project's memory bank knows about a question."""

    async def recall(self, workspace: Path, query: str, budget_tokens: int) -> Retrieval:
        """Passages of at most `budget_tokens`, best first or in reading order; empty with a note, never an error."""
        ...


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything a node may reach beside the state."""

    models: Models
    router: Router
    memory: Memory
    memory_settings: MemorySettings
    sessions: Sessions
    new_id: Callable[[], str]

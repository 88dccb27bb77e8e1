"""What the rest of the program knows about models: which answer for which role, and how to get hold of one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from langchain_core.language_models import BaseChatModel

from config.schema import Role

BackendKind = Literal["starting", "ollama", "embedded", "none"]


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One role's model as it really is on this machine."""

    role: Role
    name: str
    window_tokens: int
    answer_limit_tokens: int
    options: Mapping[str, Any]
    tools: bool
    vision: bool
    thinking: bool
    think: bool | None


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """What `/health` and the start-up panel tell about the model side; `reachable` is how the last look ended."""

    kind: BackendKind
    base_url: str
    version: str | None
    reason: str
    models: Mapping[Role, ModelCard]
    missing: Mapping[Role, str]
    reachable: bool = True

    @property
    def ready(self) -> bool:
        """Whether a request can be answered now, as far as is known."""
        return self.reachable and bool(self.models)


@dataclass(frozen=True, slots=True)
class Occupancy:
    """What the model server is busy with, by model name.

    `resident` are the models that are loaded, None where that is not known; `calls` how many run or wait here.
    """

    resident: frozenset[str] | None = None
    calls: Mapping[str, int] = field(default_factory=dict)

    def holds(self, name: str) -> bool:
        """Whether a model is known to be loaded."""
        return self.resident is not None and name in self.resident


class Models(Protocol):
    """The models behind the roles."""

    async def cards(self) -> Mapping[Role, ModelCard]:
        """The models that can answer now, by role; waits while the backend starts.

        Raises:
            BackendUnavailable: no model server answers and none could be started.
        """
        ...

    async def occupancy(self) -> Occupancy:
        """Which models are loaded and how many calls each has, as of a moment ago; never an error, never slow."""
        ...

    def lease(self, card: ModelCard) -> AbstractAsyncContextManager[BaseChatModel]:
        """Hold one of the model's places for one call.

        Raises:
            ModelBusy: too many calls wait for this model already.
        """
        ...

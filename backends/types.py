"""What the rest of the program knows about models: which answer for which role, and how to get hold of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from config.schema import Role

BackendKind = Literal["starting", "ollama", "embedded", "none"]

# For whoever sees the embedded backend answer.
EMBEDDED_NOTE = "Its tiny model proves that all parts work; it is no coding model."


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One role's model as it really is on this machine.

    `weights_bytes` and `cached_values_per_token` tell how much memory it takes; None where the server does not tell.
    """

    role: Role
    name: str
    window_tokens: int
    answer_limit_tokens: int
    options: Mapping[str, Any]
    tools: bool
    vision: bool
    thinking: bool
    think: bool | None
    weights_bytes: int | None = None
    cached_values_per_token: int | None = None


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
class LoadedModel:
    """One model that the server holds loaded, as `/api/ps` tells; what an old server does not tell is None or 0.

    `window_tokens` is the window it was loaded with, `size_bytes` all that it takes, `vram_bytes` the part of that on
    the graphics card.
    """

    name: str
    window_tokens: int | None
    size_bytes: int
    vram_bytes: int
    expires_at: datetime | None

    @property
    def ram_share(self) -> float:
        """The share, 0 to 1, that lies in main memory and is computed on the CPU."""
        return max(0.0, 1 - self.vram_bytes / self.size_bytes) if self.size_bytes else 0.0


@dataclass(frozen=True, slots=True)
class Occupancy:
    """What the model server is busy with, by the model names of the cards.

    `loaded` are the roles' models that are loaded the way we call them, so that a call finds them ready; None where
    that is not known. `calls` is how many run or wait here; `broken` tells why a model gets no call now.
    """

    loaded: Mapping[str, LoadedModel] | None = None
    calls: Mapping[str, int] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)

    def holds(self, name: str) -> bool:
        """Whether a model is known to be loaded."""
        return self.loaded is not None and name in self.loaded


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

    async def count_prompt(
        self, card: ModelCard, messages: Sequence[BaseMessage], tools: Sequence[Mapping[str, Any]]
    ) -> int | None:
        """Tokens of this prompt in the model's own count; None where its server does not tell. Never an error."""
        ...

    def lease(self, card: ModelCard) -> AbstractAsyncContextManager[BaseChatModel]:
        """Hold one of the model's places for one call.

        Raises:
            ModelBusy: too many calls wait for this model already.
            ModelBroken: its last calls failed, and its time to be tried again has not come.
            BackendUnavailable: the server has gone.
        """
        ...

    def warm(self, role: Role) -> None:
        """Load a role's model in the background, where the settings and the memory allow; returns at once."""
        ...

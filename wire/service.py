"""What the HTTP side needs of the rest: made by the composition root, read by the routes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from starlette.requests import Request

from backends.service import ModelService
from config.schema import Settings
from graphs.deps import Deps
from graphs.router import RouterGraph
from retrievers.memory import MemoryService
from retrievers.types import Embedder


@dataclass(frozen=True, slots=True)
class RouterService:
    """A running router: the compiled graph, the collaborators of its nodes, and what `/health` looks at.

    `sessions_note` says why no session is remembered where that was wanted.
    """

    settings: Settings
    graph: RouterGraph
    deps: Deps
    models: ModelService
    memory: MemoryService
    embedder: Embedder
    version: str
    sessions_note: str | None = None
    started: float = field(default_factory=time.monotonic)


def service_of(request: Request) -> RouterService:
    """The service that the application's lifespan opened."""
    service: RouterService = request.app.state.service
    return service

"""What the HTTP side needs of the rest: made by the composition root, read by the routes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from starlette.requests import Request

from backends.service import ModelService
from config.settings import Settings
from graphs.deps import Deps
from graphs.router import RouterGraph
from retrievers.memory import MemoryService
from retrievers.types import Embedder
from wire.journal import RequestJournal
from wire.page.recent import RecentRequests


@dataclass(frozen=True, slots=True)
class RouterService:
    """A running router: the compiled graph, the collaborators of its nodes, and what `/health` looks at.

    `embedding_threads` are those of clients' texts, which must not hold the threads that chats need.
    `sessions_note` says why no session is remembered where that was wanted; `now` is the time of day in Unix seconds.
    """

    settings: Settings
    graph: RouterGraph
    deps: Deps
    models: ModelService
    memory: MemoryService
    embedder: Embedder
    embedding_threads: Executor
    version: str
    sessions_note: str | None = None
    now: Callable[[], float] = time.time
    recent: RecentRequests = field(default_factory=RecentRequests)
    watchers: tuple[Callable[[RequestJournal], None], ...] = ()
    started: float = field(default_factory=time.monotonic)

    def journal(self, request_id: str, dialect: str = "unknown") -> RequestJournal:
        """A new request's journal, which `recent` and `watchers` are shown when it is closed."""
        return RequestJournal(request_id, dialect=dialect, watchers=(self.recent.saw, *self.watchers))


def service_of(request: Request) -> RouterService:
    """The service that the application's lifespan opened."""
    service: RouterService = request.app.state.service
    return service

"""The model server in use, and the one that is being left: what calls are made with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import httpx

from backends.ollama_api import unreachable
from backends.types import BackendStatus, ModelCard
from config.errors import RouterError
from config.schema import Role


@dataclass(frozen=True, slots=True)
class _Server:
    """What is known of a server, and its client: one value, so that no call finds half of a change."""

    status: BackendStatus
    http: httpx.AsyncClient | None = None

    @property
    def open_http(self) -> httpx.AsyncClient | None:
        return None if self.http is None or self.http.is_closed else self.http

    def has(self, model: str) -> bool:
        return any(card.name == model for card in self.status.models.values())


class CurrentServer:
    """Told by `backends.keeper`, asked by everybody else; `starting` until a server was found or started.

    `found` is called whenever an Ollama with models has come, at the start or later.
    """

    def __init__(self, base_url: str, found: Callable[[BackendStatus], None]) -> None:
        self._base_url = base_url
        self._found = found
        self._server = _Server(BackendStatus("starting", base_url, None, "looking for Ollama", {}, {}))
        self._left: _Server | None = None
        self._known = asyncio.Event()
        self._failure: RouterError | None = None

    @property
    def status(self) -> BackendStatus:
        """What is known now."""
        return self._server.status

    @property
    def http(self) -> httpx.AsyncClient | None:
        """The client of the server in use; another one after a restart, None while there is no server."""
        return self._server.open_http

    def http_for(self, model: str) -> httpx.AsyncClient | None:
        """The client for a call of this model: of the server that is being left, where only that one has it."""
        if self._left and self._left.has(model) and not self._server.has(model):
            return self._left.open_http or self.http
        return self.http

    async def settled(self) -> BackendStatus:
        """Wait until the search for a server has ended, one way or the other."""
        await self._known.wait()
        return self.status

    async def cards(self) -> Mapping[Role, ModelCard]:
        """See `backends.types.Models.cards`."""
        await self._known.wait()
        if not self.status.models:
            raise self._failure or unreachable(self._base_url)
        return self.status.models

    def settle(
        self, status: BackendStatus, http: httpx.AsyncClient | None = None, *, failure: RouterError | None = None
    ) -> None:
        """This is the server from now on; `failure` is what requests are told where it has no models."""
        came = status.ready and not (self.status.ready and self.status.kind == status.kind)
        self._server, self._failure = _Server(status, http), failure
        self._known.set()
        if came and status.kind == "ollama":
            self._found(status)

    def starts(self, reason: str) -> None:
        """Another one is being started; nobody who has not waited so far waits for it."""
        self._server = _Server(replace(self.status, kind="starting", reason=reason))

    def unsettle(self) -> None:
        """It has ended, and the next one is to come at once: requests wait for that."""
        self._known.clear()

    def end_search(self) -> None:
        """No request waits any longer, whatever ended the search."""
        self._known.set()

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """For the block, calls of models that only the server in use has still go there when another has come."""
        self._left = self._server
        try:
            yield
        finally:
            self._left = None

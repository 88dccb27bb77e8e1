"""The model side as one service: finds Ollama or starts the embedded backend, and hands out leases on models."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Self

import httpx
import structlog
from langchain_core.language_models import BaseChatModel

from backends.chat_model import RouterChatOllama
from backends.discovery import look_at_embedded, look_at_ollama, none_there, pulls
from backends.embedded.launcher import EmbeddedBackend
from backends.leases import Leases
from backends.ndjson import CallLimits, ChatTransport
from backends.ollama_api import OllamaApi, same_model, unreachable
from backends.types import BackendKind, BackendStatus, ModelCard, Occupancy
from config.errors import BackendError, RouterError
from config.schema import BackendSettings, Role, RoleSettings

REFRESH_EVERY_S = 30.0
RESTART_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
MAX_CONNECTIONS = 200
RESIDENT_FOR_S = 1.0
RESIDENT_TIMEOUT_S = 0.5

log = structlog.get_logger(__name__)


class ModelService:
    """Models by role over one server. Use as an async context manager; entering returns before the server is ready."""

    def __init__(
        self,
        settings: BackendSettings,
        roles: Mapping[Role, RoleSettings],
        *,
        embedded: Callable[[], EmbeddedBackend] = EmbeddedBackend,
        refresh_every_s: float = REFRESH_EVERY_S,
    ) -> None:
        self._settings = settings
        self._roles = roles
        self._embedded = embedded
        self._refresh_every_s = refresh_every_s
        self._status = BackendStatus("starting", settings.base_url, None, "looking for Ollama", {}, {})
        self._known = asyncio.Event()
        self._failure: RouterError | None = None
        self._leases: dict[str, Leases] = {}
        self._chat_models: dict[Role, tuple[ModelCard, BaseChatModel]] = {}
        self._http: httpx.AsyncClient | None = None
        self._resident: frozenset[str] | None = None
        self._resident_at = -math.inf

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep(), name="model-service")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._keeper.cancel()
        await asyncio.gather(self._keeper, return_exceptions=True)
        self._known.set()  # also where the search was ended before it began

    @property
    def status(self) -> BackendStatus:
        """What is known now; `kind` is `starting` until the server was found or started."""
        return self._status

    @property
    def waiting_calls(self) -> Mapping[str, int]:
        """How many calls wait, by model name."""
        return {name: leases.waiting for name, leases in self._leases.items()}

    async def settled(self) -> BackendStatus:
        """Wait until the search for a server has ended, one way or the other."""
        await self._known.wait()
        return self._status

    async def cards(self) -> Mapping[Role, ModelCard]:
        """See `backends.types.Models.cards`."""
        await self._known.wait()
        if not self._status.models:
            raise self._failure or unreachable(self._settings.base_url)
        return self._status.models

    async def occupancy(self) -> Occupancy:
        """See `backends.types.Models.occupancy`."""
        calls = {name: leases.calls for name, leases in self._leases.items()}
        if time.monotonic() - self._resident_at > RESIDENT_FOR_S:
            self._resident = await self._look_who_is_loaded()
            self._resident_at = time.monotonic()
        return Occupancy(self._resident, calls)

    async def _look_who_is_loaded(self) -> frozenset[str] | None:
        """The roles' models that are loaded, under the names they have here; None where the server does not tell."""
        if self._http is None or self._http.is_closed:
            return None
        try:
            loaded = await OllamaApi(self._http).resident(RESIDENT_TIMEOUT_S)
        except RouterError:
            return None
        ours = {card.name for card in self._status.models.values()}
        return frozenset(name for name in ours if any(same_model(name, other) for other in loaded))

    @asynccontextmanager
    async def lease(self, card: ModelCard) -> AsyncIterator[BaseChatModel]:
        """See `backends.types.Models.lease`."""
        leases = self._leases.setdefault(
            card.name,
            Leases(card.name, places=self._settings.calls_per_model, max_waiting=self._settings.max_waiting_calls),
        )
        async with leases.hold():
            self._resident_at = -math.inf  # a call may load this model and unload another
            try:
                yield self._chat_model(card)
            finally:
                self._resident_at = -math.inf

    async def _keep(self) -> None:
        """Find or start a server, then keep the picture of it fresh, until cancelled."""
        try:
            reason = await self._find_ollama()
            if reason is None:
                await self._keep_ollama()
            elif self._settings.kind == "ollama":
                await self._keep_looking(reason)
            else:
                await self._keep_embedded(reason)
        except Exception:
            log.exception("the search for models failed")
            raise
        finally:
            self._known.set()  # whatever ended the search: no request may wait for it for ever

    async def _find_ollama(self) -> str | None:
        """None where an Ollama has any of the models, else why the embedded backend has to answer."""
        if self._settings.kind == "embedded":
            return "the configuration asks for it (backend.kind)"
        async with httpx.AsyncClient(base_url=self._settings.base_url, trust_env=False) as client:
            try:
                found = await self._look(client)
            except RouterError as error:
                self._failure = error
                return f"no Ollama answers at {self._settings.base_url}"
        if found.models:
            return None
        self._failure = none_there(found.base_url, found.version, self._roles)
        return self._failure.message.rstrip(".")

    async def _look(self, client: httpx.AsyncClient) -> BackendStatus:
        return await look_at_ollama(OllamaApi(client), self._roles, timeout_s=self._settings.probe_timeout_s)

    async def _keep_ollama(self) -> None:
        async with self._client(self._settings.base_url, {}) as client:
            while True:
                try:
                    found = await self._look(client)
                    self._failure = None if found.models else none_there(found.base_url, found.version, self._roles)
                    self._settle(found)
                except RouterError as error:
                    self._failure = error
                    known = self._status if self._status.models else self._without_models(error.message, "ollama")
                    self._settle(replace(known, reachable=False, reason=error.message))
                    log.warning("Ollama did not answer", error=error.message)
                await asyncio.sleep(self._refresh_every_s)

    async def _keep_looking(self, reason: str | None) -> None:
        """The configuration asks for Ollama only: stay up without models and take them when they come."""
        while reason is not None:
            self._settle(self._without_models(reason))
            await asyncio.sleep(self._settings.probe_timeout_s)
            reason = await self._find_ollama()
        await self._keep_ollama()

    async def _keep_embedded(self, reason: str) -> None:
        """Run the embedded backend, and start it again when it ends; requests wait for it meanwhile."""
        pause_s = RESTART_PAUSE_S
        while True:
            self._status = replace(self._status, kind="starting", reason=reason)
            backend = self._embedded()
            try:
                await backend.start()
                async with self._client(backend.base_url, backend.headers) as client:
                    self._settle(
                        await look_at_embedded(
                            OllamaApi(client),
                            self._roles,
                            model=backend.model,
                            reason=reason,
                            timeout_s=self._settings.probe_timeout_s,
                        )
                    )
                    log.warning("embedded backend serves all roles", model=backend.model, reason=reason)
                    pause_s = RESTART_PAUSE_S
                    await backend.wait()
                    self._known.clear()
                log.warning("embedded backend ended; starting it again", returncode=backend.returncode)
            except (BackendError, OSError) as error:
                message = error.message if isinstance(error, BackendError) else f"It cannot be started ({error})."
                self._failure = error if isinstance(error, BackendError) else None
                self._settle(self._without_models(message))
                log.error("embedded backend did not start", error=message)  # noqa: TRY400 - the message is all
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            finally:
                await asyncio.shield(backend.close())

    def _settle(self, status: BackendStatus) -> None:
        self._status = status
        self._known.set()

    def _without_models(self, reason: str, kind: BackendKind = "none") -> BackendStatus:
        return BackendStatus(kind, self._settings.base_url, None, reason, {}, pulls(self._roles))

    @asynccontextmanager
    async def _client(self, base_url: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.AsyncClient]:
        """The shared HTTP client of the server in use; nothing of the environment's proxies applies to it."""
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS)
        async with httpx.AsyncClient(
            base_url=base_url, headers=dict(headers), trust_env=False, limits=limits
        ) as client:
            self._http = client
            try:
                yield client
            finally:
                self._chat_models.clear()

    def _chat_model(self, card: ModelCard) -> BaseChatModel:
        kept = self._chat_models.get(card.role)
        if kept and kept[0] == card:
            return kept[1]
        if self._http is None or self._http.is_closed:
            raise unreachable(self._settings.base_url)
        limits = CallLimits(
            connect_s=self._settings.connect_timeout_s,
            first_token_s=self._settings.first_token_timeout_s,
            idle_s=self._settings.idle_timeout_s,
        )
        model = RouterChatOllama(
            model=card.name,
            base_url=str(self._http.base_url),
            keep_alive=self._roles[card.role].keep_alive,
            transport=ChatTransport(self._http, limits),
        )
        self._chat_models[card.role] = (card, model)
        return model

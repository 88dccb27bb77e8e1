"""The model side as one service: finds Ollama or starts the embedded backend, knows what is there, hands out leases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

import httpx
import structlog
from langchain_core.language_models import BaseChatModel

from backends.chat_model import RouterChatOllama
from backends.embedded.launcher import EmbeddedBackend
from backends.leases import Leases
from backends.ndjson import CallLimits, ChatTransport
from backends.ollama_api import OllamaApi, same_model, unreachable
from backends.types import BackendStatus, ModelCard
from config.errors import BackendError, BackendUnavailable, RouterError
from config.schema import BackendSettings, Role, RoleSettings

REFRESH_EVERY_S = 30.0
RESTART_PAUSE_S = 1.0
MAX_CONNECTIONS = 200

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
        self._failure: BackendError | None = None
        self._leases: dict[str, Leases] = {}
        self._chat_models: dict[Role, tuple[ModelCard, BaseChatModel]] = {}
        self._http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep(), name="model-service")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._keeper.cancel()
        await asyncio.gather(self._keeper, return_exceptions=True)
        self._known.set()

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

    @asynccontextmanager
    async def lease(self, card: ModelCard) -> AsyncIterator[BaseChatModel]:
        """See `backends.types.Models.lease`."""
        leases = self._leases.setdefault(
            card.name,
            Leases(card.name, places=self._settings.calls_per_model, max_waiting=self._settings.max_waiting_calls),
        )
        async with leases.hold():
            yield self._chat_model(card)

    async def _keep(self) -> None:
        """Find or start a server, then keep the picture of it fresh, until cancelled."""
        try:
            if await self._probe_ollama():
                await self._keep_ollama()
            elif self._settings.kind == "ollama":
                await self._keep_looking()
            else:
                await self._keep_embedded()
        except Exception:
            log.exception("the search for models failed")
            raise
        finally:
            self._known.set()  # whatever ended the search: no request may wait for it for ever

    async def _probe_ollama(self) -> bool:
        if self._settings.kind == "embedded":
            self._note("the configuration asks for the embedded backend (backend.kind)")
            return False
        async with httpx.AsyncClient(base_url=self._settings.base_url, trust_env=False) as client:
            api = OllamaApi(client)
            try:
                version = await api.version(self._settings.probe_timeout_s)
                names = await api.model_names()
            except RouterError as error:
                self._failure = error if isinstance(error, BackendError) else None
                self._note(f"no Ollama answers at {self._settings.base_url}")
                return False
        if not any(same_model(role.model, name) for role in self._roles.values() for name in names):
            self._failure = self._none_there(version)
            self._note(self._failure.message)
            return False
        return True

    def _note(self, reason: str) -> None:
        self._status = BackendStatus("starting", self._settings.base_url, None, reason, {}, {})

    async def _keep_ollama(self) -> None:
        async with self._client(self._settings.base_url, {}) as client:
            while True:
                await self._refresh(OllamaApi(client))
                await asyncio.sleep(self._refresh_every_s)

    async def _keep_looking(self) -> None:
        """The configuration asks for Ollama only: stay up without models and take them when they come."""
        while True:
            self._status = BackendStatus("none", self._settings.base_url, None, self._status.reason, {}, self._pulls())
            self._known.set()
            await asyncio.sleep(self._settings.probe_timeout_s)
            if await self._probe_ollama():
                await self._keep_ollama()

    async def _keep_embedded(self) -> None:
        reason = self._status.reason
        while True:
            backend = self._embedded()
            try:
                await backend.start()
                async with self._client(backend.base_url, backend.headers) as client:
                    await self._adopt_embedded(OllamaApi(client), backend.model, reason)
                    await backend.wait()
                log.warning("embedded backend ended; starting it again", returncode=backend.returncode)
            except BackendError as error:
                self._failure = error
                self._status = BackendStatus("none", self._settings.base_url, None, error.message, {}, self._pulls())
                self._known.set()
                log.error("embedded backend did not start", error=error.message)  # noqa: TRY400 - the message is all
            finally:
                await asyncio.shield(backend.close())
            await asyncio.sleep(RESTART_PAUSE_S)

    @asynccontextmanager
    async def _client(self, base_url: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.AsyncClient]:
        """The shared HTTP client of the server in use; nothing of the environment's proxies applies to it."""
        async with AsyncExitStack() as stack:
            limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS)
            client = await stack.enter_async_context(
                httpx.AsyncClient(base_url=base_url, headers=dict(headers), trust_env=False, limits=limits)
            )
            self._http = client
            stack.callback(self._chat_models.clear)
            yield client

    async def _refresh(self, api: OllamaApi) -> None:
        try:
            version = await api.version(self._settings.probe_timeout_s)
            names = await api.model_names()
            cards = {
                role: await self._card(api, role, settings, settings.model, settings.num_ctx)
                for role, settings in self._roles.items()
                if any(same_model(settings.model, name) for name in names)
            }
        except RouterError as error:
            self._failure = error if isinstance(error, BackendError) else None
            if not self._known.is_set():
                self._status = BackendStatus("ollama", api.base_url, None, error.message, {}, self._pulls())
                self._known.set()
            log.warning("Ollama did not answer", error=error.message)
            return
        self._failure = None if cards else self._none_there(version)
        missing = {role: pull for role, pull in self._pulls().items() if role not in cards}
        self._status = BackendStatus("ollama", api.base_url, version, "Ollama answers", cards, missing)
        self._known.set()

    async def _adopt_embedded(self, api: OllamaApi, name: str, reason: str) -> None:
        version = await api.version(self._settings.probe_timeout_s)
        facts = await api.facts(name)
        window = facts.window_tokens or 0
        cards = {role: await self._card(api, role, settings, name, window) for role, settings in self._roles.items()}
        self._status = BackendStatus("embedded", api.base_url, version, reason, cards, self._pulls())
        self._known.set()
        log.warning("embedded backend serves all roles", model=name, window_tokens=window, reason=reason)

    async def _card(self, api: OllamaApi, role: Role, settings: RoleSettings, name: str, num_ctx: int) -> ModelCard:
        facts = await api.facts(name)
        window = min(num_ctx, facts.window_tokens or num_ctx)
        thinks = "thinking" in facts.capabilities
        return ModelCard(
            role=role,
            name=name,
            window_tokens=window,
            answer_limit_tokens=min(settings.answer_limit_tokens, window // 4),
            options={"num_ctx": window, "temperature": settings.temperature},
            tools="tools" in facts.capabilities,
            vision="vision" in facts.capabilities,
            thinking=thinks,
            think=settings.thinking if thinks else None,
        )

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

    def _none_there(self, version: str) -> BackendUnavailable:
        pulls = ", ".join(f"`ollama pull {role.model}`" for role in self._roles.values())
        return BackendUnavailable(
            f"Ollama {version} at {self._settings.base_url} has none of the configured models: type {pulls}."
        )

    def _pulls(self) -> dict[Role, str]:
        return {role: f"ollama pull {settings.model}" for role, settings in self._roles.items()}

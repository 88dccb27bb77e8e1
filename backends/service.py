"""The model side as one service: hands out leases on the models of whichever server is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Self

import httpx
import structlog
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from backends.breaker import Breaker, Breakers
from backends.budget import MemoryPlan, plan_memory
from backends.chat_model import RouterChatOllama
from backends.current_server import CurrentServer
from backends.embedded.launcher import EmbeddedBackend
from backends.given_windows import GivenWindows
from backends.keeper import REFRESH_EVERY_S, ServerKeeper
from backends.leases import Leases
from backends.live_view import TIMEOUT_S, LiveView, loaded_as_ours
from backends.ndjson import ChatTransport
from backends.ollama_api import OllamaApi, unreachable
from backends.patience import CallLimits
from backends.residency import Footprint, Residency, keep_alive_seconds
from backends.schedule import Limits
from backends.types import BackendStatus, LoadedModel, ModelCard, Occupancy
from backends.warming import Warming
from config.errors import RouterError
from config.schema import ModelsFile, Role
from config.settings import BackendSettings

# A broken model is looked at while a request waits for its decision.
LOOK_TIMEOUT_S = 0.5
# A window is looked at after a load, which takes longer.
WINDOW_TIMEOUT_S = 3.0

log = structlog.get_logger(__name__)


class ModelService:
    """Models by role over one server. Use as an async context manager; entering returns before the server is ready.

    `load_s` tells how long a role's model takes to load, as measured.
    """

    def __init__(
        self,
        settings: BackendSettings,
        models: ModelsFile,
        *,
        load_s: Callable[[Role], float] | None = None,
        embedded: Callable[[], EmbeddedBackend] = EmbeddedBackend,
        refresh_every_s: float = REFRESH_EVERY_S,
    ) -> None:
        self._settings = settings
        self._models = models
        self._server = CurrentServer(settings.base_url, self._found)
        self._keeper = ServerKeeper(
            settings,
            models.roles,
            self._server,
            embedded=embedded,
            refresh_every_s=refresh_every_s,
            calls=lambda: self._leases.calls,
        )
        self._live = LiveView()
        self._residency = Residency(_footprints(models), models.available_gb)
        self._leases = Leases(
            Limits(
                calls_per_model=settings.calls_per_model,
                models_at_once=settings.models_at_once,
                max_waiting=settings.max_waiting_calls,
                switch_wait_s=settings.switch_wait_s,
            ),
            self._residency,
            self._load_s_of(load_s or (lambda role: models.roles[role].load_s)),
        )
        self._warming = Warming(self._load, self.occupancy, lambda: self.memory_plan, self._residency)
        self._breakers = Breakers(
            failures=settings.breaker_failures, open_s=settings.breaker_open_s, look=self._look_at
        )
        self._given = GivenWindows()
        self._loading: Counter[str] = Counter()
        self._chat_models: dict[Role, tuple[ModelCard, httpx.AsyncClient, RouterChatOllama]] = {}

    async def __aenter__(self) -> Self:
        await self._keeper.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._warming.aclose()
        await self._keeper.__aexit__(*error)

    @property
    def status(self) -> BackendStatus:
        """What is known now; `kind` is `starting` until the server was found or started."""
        return replace(self._server.status, models=self._models_now)

    @property
    def _models_now(self) -> Mapping[Role, ModelCard]:
        """The `status`' models."""
        return self._given.applied(self._server.status.models)

    @property
    def waiting_calls(self) -> Mapping[str, int]:
        """How many calls wait, by model name."""
        return self._leases.waiting

    @property
    def calls(self) -> Mapping[str, int]:
        """How many calls run or wait, by model name."""
        return self._leases.calls

    @property
    def breakers(self) -> Mapping[str, Breaker]:
        """Those of the models that were called so far, by model name."""
        return self._breakers.by_model

    @property
    def memory_plan(self) -> MemoryPlan:
        """What the models that are there take, against what the machine has for them."""
        return plan_memory(self.status.models.values(), self._models)

    async def settled(self) -> BackendStatus:
        """Wait until the search for a server has ended, one way or the other."""
        await self._server.settled()
        return self.status

    async def cards(self) -> Mapping[Role, ModelCard]:
        """See `backends.types.Models.cards`."""
        return self._given.applied(await self._server.cards())

    async def loaded(self, timeout_s: float = TIMEOUT_S) -> Mapping[str, LoadedModel] | None:
        """The roles' models that are loaded, also with another window than ours; None where the server does not tell.

        By the names of the cards, as of a moment ago.
        """
        loaded = await self._live.look(self._server.http, self._models_now, timeout_s)
        if loaded is not None:
            self._residency.saw(loaded, self._ready(loaded), datetime.now(UTC))
        return loaded

    async def occupancy(self) -> Occupancy:
        """See `backends.types.Models.occupancy`."""
        loaded = await self.loaded()
        broken = await self._breakers.broken()
        return Occupancy(None if loaded is None else self._ready(loaded), self._leases.calls, broken)

    def _ready(self, loaded: Mapping[str, LoadedModel]) -> dict[str, LoadedModel]:
        windows = {card.name: card.window_tokens for card in self._models_now.values()}
        return {name: model for name, model in loaded.items() if loaded_as_ours(model, windows.get(name))}

    @asynccontextmanager
    async def lease(self, card: ModelCard) -> AsyncIterator[BaseChatModel]:
        """See `backends.types.Models.lease`."""
        await self._server.settled()  # an embedded backend may just be started again
        self._warming.give_way(card.name)
        async with self._leases.hold(card.name):
            self._warming.give_way(card.name)
            answered = False
            try:
                with self._breakers.of(card.name).watch():
                    yield self._chat_model(card)
                answered = True
            finally:
                if not (answered and self._live.shows(card)):
                    self._live.expire()
                self._warming.go_on()

    async def _see_window(self, card: ModelCard) -> None:
        """A load of ours has ended: see what the server made of it."""
        self._live.expire()
        self._given.saw(card, (await self.loaded(WINDOW_TIMEOUT_S) or {}).get(card.name))

    async def _check_window(self, card: ModelCard) -> None:
        await self._see_window(card)
        self._given.check(card)

    async def count_prompt(
        self, card: ModelCard, messages: Sequence[BaseMessage], tools: Sequence[Mapping[str, Any]]
    ) -> int | None:
        """See `backends.types.Models.count_prompt`."""
        http = self._server.http
        if http is None or self._server.status.kind != "embedded":
            return None
        try:
            return await OllamaApi(http).count_prompt(self._chat_model(card).prompt_body(messages, tools))
        except RouterError:
            return None

    async def _look_at(self, model: str) -> None:
        """Raises `BackendError` where the server does not know the model; loads nothing."""
        if http := self._server.http_for(model):
            await OllamaApi(http).facts(model, LOOK_TIMEOUT_S)

    async def _is_ready(self, card: ModelCard) -> bool:
        """Whether the call that begins now finds its model loaded; where that is not told, it has to load it itself.

        Raises `SmallerWindow` where a load since it was planned, by whichever call, gave less.
        """
        loaded = await self.loaded()
        if loaded is None or card.name in self._ready(loaded):
            self._given.check(card)
            return True
        self._live.expire()
        return False

    def warm(self, role: Role) -> None:
        """See `backends.types.Models.warm`."""
        card = self.status.models.get(role)
        if card and self._settings.warm_coder is not False:
            self._warming.begin([card], displace=bool(self._settings.warm_coder))

    def _found(self, status: BackendStatus) -> None:
        """A server has come with models: say what cannot be, and load what is to be loaded."""
        if problem := self.memory_plan.problem():
            log.warning("the models do not fit the memory together", problem=problem)
        self._warming.begin(status.models[role] for role in self._settings.preload if role in status.models)

    async def _load(self, card: ModelCard) -> None:
        self._residency.begins(card.name)
        self._live.expire()
        try:
            model = self._chat_model(card)
            asked = {"model": card.name, "options": card.options, "keep_alive": model.keep_alive}
            if await model.transport.load(asked):
                log.info("model loaded ahead of time", model=card.name, role=card.role)
            await self._see_window(card)
        finally:
            self._residency.ends(card.name)
            self._live.expire()

    def _load_s_of(self, load_s: Callable[[Role], float]) -> Callable[[str], float]:
        """By model in place of role."""
        roles = {settings.model: role for role, settings in self._models.roles.items()}
        return lambda model: load_s(roles[model]) if model in roles else 0.0

    def _chat_model(self, card: ModelCard) -> RouterChatOllama:
        http = self._server.http_for(card.name)
        if http is None:
            raise unreachable(self._settings.base_url)
        kept = self._chat_models.get(card.role)
        if kept and kept[:2] == (card, http):
            return kept[2]
        limits = CallLimits(
            connect_s=self._settings.connect_timeout_s,
            first_token_s=self._settings.first_token_timeout_s,
            idle_s=self._settings.idle_timeout_s,
            load_s=self._settings.load_timeout_s,
            first_token_floor_s=self._settings.first_token_floor_s,
        )
        model = RouterChatOllama(
            model=card.name,
            base_url=str(http.base_url),
            keep_alive=self._models.roles[card.role].keep_alive,
            transport=ChatTransport(
                http,
                limits,
                partial(self._is_ready, card),
                self._loading,
                check_load=partial(self._check_window, card),
            ),
        )
        self._chat_models[card.role] = (card, http, model)
        return model


def _footprints(models: ModelsFile) -> dict[str, Footprint]:
    return {
        settings.model: Footprint(settings.memory_gb, keep_alive_seconds(settings.keep_alive))
        for settings in models.roles.values()
    }

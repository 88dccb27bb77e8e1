"""The model side as one service: hands out leases on the models of whichever server is there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Self

import httpx
from langchain_core.language_models import BaseChatModel

from backends.chat_model import RouterChatOllama
from backends.embedded.launcher import EmbeddedBackend
from backends.keeper import REFRESH_EVERY_S, ServerKeeper
from backends.leases import Leases
from backends.live_view import LiveView, loaded_as_ours
from backends.ndjson import ChatTransport
from backends.ollama_api import unreachable
from backends.patience import CallLimits
from backends.types import BackendStatus, LoadedModel, ModelCard, Occupancy
from config.schema import BackendSettings, Role, RoleSettings


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
        self._keeper = ServerKeeper(settings, roles, embedded=embedded, refresh_every_s=refresh_every_s)
        self._live = LiveView()
        self._leases: dict[str, Leases] = {}
        self._chat_models: dict[Role, tuple[ModelCard, httpx.AsyncClient, BaseChatModel]] = {}

    async def __aenter__(self) -> Self:
        await self._keeper.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._keeper.__aexit__(*error)

    @property
    def status(self) -> BackendStatus:
        """What is known now; `kind` is `starting` until the server was found or started."""
        return self._keeper.status

    @property
    def waiting_calls(self) -> Mapping[str, int]:
        """How many calls wait, by model name."""
        return {name: leases.waiting for name, leases in self._leases.items()}

    async def settled(self) -> BackendStatus:
        """Wait until the search for a server has ended, one way or the other."""
        return await self._keeper.settled()

    async def cards(self) -> Mapping[Role, ModelCard]:
        """See `backends.types.Models.cards`."""
        return await self._keeper.cards()

    async def loaded(self) -> Mapping[str, LoadedModel] | None:
        """The roles' models that are loaded, also with another window than ours; None where the server does not tell.

        By the names of the cards, as of a moment ago.
        """
        return await self._live.look(self._keeper.http, self.status.models)

    async def occupancy(self) -> Occupancy:
        """See `backends.types.Models.occupancy`."""
        loaded = await self.loaded()
        windows = {card.name: card.window_tokens for card in self.status.models.values()}
        return Occupancy(
            None
            if loaded is None
            else {name: model for name, model in loaded.items() if loaded_as_ours(model, windows[name])},
            {name: leases.calls for name, leases in self._leases.items()},
        )

    @asynccontextmanager
    async def lease(self, card: ModelCard) -> AsyncIterator[BaseChatModel]:
        """See `backends.types.Models.lease`."""
        leases = self._leases.setdefault(
            card.name,
            Leases(card.name, places=self._settings.calls_per_model, max_waiting=self._settings.max_waiting_calls),
        )
        async with leases.hold():
            self._live.expire()
            try:
                yield self._chat_model(card)
            finally:
                self._live.expire()

    async def _is_ready(self, name: str) -> bool:
        """Whether a call finds the model loaded; where the server does not tell, the call itself has to load it."""
        occupancy = await self.occupancy()
        return occupancy.loaded is None or occupancy.holds(name)

    def _chat_model(self, card: ModelCard) -> BaseChatModel:
        http = self._keeper.http
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
            keep_alive=self._roles[card.role].keep_alive,
            transport=ChatTransport(http, limits, partial(self._is_ready, card.name)),
        )
        self._chat_models[card.role] = (card, http, model)
        return model

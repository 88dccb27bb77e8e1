"""Which models are loaded now, as the server tells: asked at most once a second, and anew once a call of ours has had
one loaded.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence

import httpx
import structlog

from backends.ollama_api import OllamaApi, same_model
from backends.types import LoadedModel, ModelCard
from config.errors import RouterError
from config.schema import Role

FRESH_FOR_S = 1.0
TIMEOUT_S = 0.5

log = structlog.get_logger(__name__)


class LiveView:
    """Remembers the last answer of `/api/ps`. One that is loaded with another window than ours is another client's."""

    def __init__(self, fresh_for_s: float = FRESH_FOR_S) -> None:
        self._fresh_for_s = fresh_for_s
        self._loaded: Sequence[LoadedModel] | None = None
        self._calls = 0
        self._as_of = (-1, -math.inf)
        self._told: set[tuple[str, int | None]] = set()
        self._asking = asyncio.Lock()

    def expire(self) -> None:
        """A call loads one model, which may unload another, or has done so: the next look asks the server."""
        self._calls += 1

    async def look(
        self, http: httpx.AsyncClient | None, cards: Mapping[Role, ModelCard], timeout_s: float = TIMEOUT_S
    ) -> Mapping[str, LoadedModel] | None:
        """The roles' models that are loaded, ours or not, by the cards' names; None where the server does not tell.

        Waits `timeout_s` at most for a look that somebody else has taken, and for the server.
        """
        if self._is_old and not await self._looked_anew(http, timeout_s):
            return None
        if self._loaded is None:
            return None
        windows = {card.name: card.window_tokens for card in cards.values()}
        found = {name: model for name in windows for model in self._loaded if same_model(name, model.name)}
        for name, model in found.items():
            self._tell_if_foreign(model, windows[name])
        return found

    def shows(self, card: ModelCard) -> bool:
        """Whether the last look found the model as a call of ours leaves it, so that a call changes nothing."""
        found = (model for model in self._loaded or () if same_model(card.name, model.name))
        return any(loaded_as_ours(model, card.window_tokens) for model in found)

    @property
    def _is_old(self) -> bool:
        calls, looked_at = self._as_of
        return calls != self._calls or time.monotonic() - looked_at > self._fresh_for_s

    async def _looked_anew(self, http: httpx.AsyncClient | None, timeout_s: float) -> bool:
        """Whether there is an answer now, also that the server gave none: it is true for those who waited for it."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._asking.acquire()
        except TimeoutError:
            return False
        try:
            if self._is_old:
                calls = self._calls  # a call that begins meanwhile makes the answer old
                self._loaded = await _ask(http, timeout_s)
                self._as_of = (calls, time.monotonic())
        finally:
            self._asking.release()
        return True

    def _tell_if_foreign(self, model: LoadedModel, window_tokens: int) -> None:
        seen = (model.name, model.window_tokens)
        if loaded_as_ours(model, window_tokens) or seen in self._told:
            return
        self._told.add(seen)
        log.warning(
            "a model is loaded with another window than ours, as by another client; our next call loads it anew",
            model=model.name,
            window_tokens=model.window_tokens,
            ours_tokens=window_tokens,
        )


def loaded_as_ours(model: LoadedModel, window_tokens: int | None) -> bool:
    """Whether a call with this window would find the model ready."""
    return model.window_tokens in {None, window_tokens}


async def _ask(http: httpx.AsyncClient | None, timeout_s: float) -> Sequence[LoadedModel] | None:
    if http is None:
        return None
    try:
        return await OllamaApi(http).loaded(timeout_s)
    except RouterError:
        return None

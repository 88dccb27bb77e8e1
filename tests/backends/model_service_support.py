"""A model service over scripted servers, and what its tests wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from backends.embedded.launcher import EmbeddedBackend
from backends.service import ModelService
from backends.types import ModelCard
from config.load import load_settings
from config.schema import ModelsFile, Role
from config.settings import BackendSettings
from tests.support.scripted_ollama import ScriptedOllama

MODELS = load_settings(environment={}).models
ROLE_SETTINGS = MODELS.roles
LIMIT_S = 10.0
NOWHERE = "http://127.0.0.1:1"


class PretendEmbedded(EmbeddedBackend):
    """An embedded backend whose child is a scripted Ollama; `end` ends the child."""

    def __init__(self, ollama: ScriptedOllama, *errors: Exception) -> None:
        super().__init__()
        self.ollama = ollama
        self.errors = list(errors)
        self.started = self.closed = 0
        self.ended = asyncio.Event()

    def __call__(self) -> PretendEmbedded:
        return self

    @property
    def base_url(self) -> str:
        return self.ollama.base_url

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": "Bearer key"}

    @property
    def model(self) -> str:
        return "smollm2:360m"

    @property
    def returncode(self) -> int | None:
        return -9

    async def start(self) -> None:
        self.started += 1
        self.ended.clear()
        if self.errors:
            raise self.errors.pop(0)

    async def wait(self) -> int:
        await self.ended.wait()
        return -9

    async def close(self) -> None:
        self.closed += 1


def no_embedded() -> EmbeddedBackend:
    raise AssertionError("the embedded backend was not asked for")


def service_for(
    base_url: str,
    embedded: Callable[[], EmbeddedBackend] = no_embedded,
    models: ModelsFile = MODELS,
    **changes: Any,
) -> ModelService:
    """Nothing is preloaded unless it is asked for; loading takes no time worth keeping a model for."""
    settings = BackendSettings(base_url=base_url, **{"probe_timeout_s": 1, "preload": (), **changes})
    return ModelService(settings, models, load_s=lambda _: 0.01, embedded=embedded, refresh_every_s=0.02)


async def until(reached: Callable[[], bool]) -> None:
    """For what only shows in a status; everything else is awaited by its event."""
    async with asyncio.timeout(LIMIT_S):
        while not reached():  # noqa: ASYNC110 - a status has no event
            await asyncio.sleep(0.005)


async def text_of(service: ModelService, role: Role) -> str:
    return await text_by(service, (await service.cards())[role])


async def text_by(service: ModelService, card: ModelCard) -> str:
    async with service.lease(card) as model:
        return str((await model.ainvoke("hello", options=dict(card.options))).text)

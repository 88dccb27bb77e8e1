"""`GET /v1/models`: the router itself first, then the roles a client may ask for by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request

from backends.types import ModelCard
from config.errors import UnknownModel
from config.schema import Role
from wire.service import RouterService, service_of

routes = APIRouter()


@routes.get("/v1/models")
async def list_models(request: Request) -> dict[str, Any]:
    """All model ids that `model` may be."""
    return {"object": "list", "data": list(_models(service_of(request)).values())}


@routes.get("/v1/models/{model_id:path}")
async def get_model(request: Request, model_id: str) -> dict[str, Any]:
    """One of them."""
    models = _models(service_of(request))
    if model_id not in models:
        raise UnknownModel(f"There is no model {model_id[:100]!r}: use one of {', '.join(models)}.", param="model")
    return models[model_id]


def _models(service: RouterService) -> dict[str, dict[str, Any]]:
    server, cards = service.settings.server, service.models.status.models
    models = {server.model_id: _model(server.model_id, reliable_window(cards))}
    models |= {role: _model(role, card.window_tokens, card.name) for role, card in cards.items()}
    return models | {alias: _model(alias, reliable_window(cards)) for alias in server.model_aliases}


def reliable_window(cards: Mapping[Role, ModelCard]) -> int | None:
    """The window in tokens a client can rely on, whichever role answers; None while no model is known."""
    return max((card.window_tokens for card in cards.values()), default=None)


def _model(model_id: str, window_tokens: int | None, ollama_model: str | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": model_id,
        "object": "model",
        "created": 0,
        "owned_by": "cline-memory-router",
    }
    if window_tokens:
        entry["context_window"] = window_tokens
    if ollama_model:
        entry["model"] = ollama_model
    return entry

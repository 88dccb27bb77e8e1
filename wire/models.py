"""`GET /v1/models`: the router itself first, then the roles a client may ask for by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request

from backends.types import ModelCard
from config.errors import UnknownModel
from config.schema import Role
from wire.service import RouterService, service_of

_ABILITIES = ("tools", "vision", "thinking")

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
    models = {server.model_id: _model(server.model_id, *cards.values())}
    models |= {role: _model(role, card) | {"model": card.name} for role, card in cards.items()}
    models |= {alias: _model(alias, *cards.values()) for alias in server.model_aliases}
    embedder = service.embedder.name
    return models | {embedder: _entry(embedder) | {"capabilities": ["embeddings"]}}


def reliable_window(cards: Mapping[Role, ModelCard]) -> int | None:
    """The window in tokens a client can rely on: a request of that size finds a model, tools or not; None for none."""
    able = [card for card in cards.values() if card.tools] or list(cards.values())
    return max((card.window_tokens for card in able), default=None)


def _model(model_id: str, *cards: ModelCard) -> dict[str, Any]:
    """What a client may count on where any of the cards may answer: the largest window, whatever one of them can do."""
    entry = _entry(model_id)
    if cards:
        entry["context_window"] = max(card.window_tokens for card in cards)
        entry["max_output_tokens"] = max(card.answer_limit_tokens for card in cards)
        entry["capabilities"] = ["chat", *(name for name in _ABILITIES if any(getattr(card, name) for card in cards))]
    return entry


def _entry(model_id: str) -> dict[str, Any]:
    return {"id": model_id, "object": "model", "created": 0, "owned_by": "cline-memory-router"}

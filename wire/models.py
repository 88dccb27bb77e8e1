"""`GET /v1/models`: the router itself first, then the roles a client may ask for by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from fastapi import APIRouter, Request

from backends.types import ModelCard
from config.errors import UnknownModel
from config.schema import Role
from wire.replies import Model, Models
from wire.service import RouterService, service_of

_ABILITIES: tuple[Literal["tools", "vision", "thinking"], ...] = ("tools", "vision", "thinking")

routes = APIRouter()


@routes.get("/v1/models", response_model_exclude_none=True)
async def list_models(request: Request) -> Models:
    """All model ids that `model` may be."""
    return Models(object="list", data=list(_models(service_of(request)).values()))


@routes.get("/v1/models/{model_id:path}", response_model_exclude_none=True)
async def get_model(request: Request, model_id: str) -> Model:
    """One of them."""
    models = _models(service_of(request))
    if model_id not in models:
        raise UnknownModel(f"There is no model {model_id[:100]!r}: use one of {', '.join(models)}.", param="model")
    return models[model_id]


def _models(service: RouterService) -> dict[str, Model]:
    server, cards = service.settings.server, service.models.status.models
    models = {server.model_id: _model(server.model_id, *cards.values())}
    models |= {role: _model(role, card).model_copy(update={"model": card.name}) for role, card in cards.items()}
    models |= {alias: _model(alias, *cards.values()) for alias in server.model_aliases}
    embedder = service.embedder.name
    return models | {embedder: Model(id=embedder, capabilities=["embeddings"])}


def reliable_window(cards: Mapping[Role, ModelCard]) -> int | None:
    """The window in tokens a client can rely on: a request of that size finds a model, tools or not; None for none."""
    able = [card for card in cards.values() if card.tools] or list(cards.values())
    return max((card.window_tokens for card in able), default=None)


def _model(model_id: str, *cards: ModelCard) -> Model:
    """What a client may count on where any of the cards may answer: the largest window, whatever one of them can do."""
    if not cards:
        return Model(id=model_id)
    return Model(
        id=model_id,
        context_window=reliable_window({card.role: card for card in cards}),
        max_output_tokens=max(card.answer_limit_tokens for card in cards),
        capabilities=["chat", *(name for name in _ABILITIES if any(getattr(card, name) for card in cards))],
    )

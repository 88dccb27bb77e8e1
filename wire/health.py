"""`/health` for people, `/health/live` and `/health/ready` for supervisors."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from backends.breaker import Breaker
from backends.budget import MemoryPlan
from backends.live_view import loaded_as_ours
from backends.types import LoadedModel, ModelCard
from config.schema import ROLES, Role
from wire.replies import Readiness
from wire.service import RouterService, service_of

routes = APIRouter()


@routes.get("/health/live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@routes.get("/health/ready", response_model=Readiness, responses={503: {"model": Readiness}})
async def ready(request: Request) -> JSONResponse:
    """200 once a model can answer, 503 before, without one, and once the service was told to stop."""
    status, stopping = service_of(request).models.status, request.app.state.intake.closed
    is_ready = status.ready and not stopping
    body = {"status": "ready" if is_ready else "not ready", "reason": "stopping" if stopping else status.reason}
    return JSONResponse(body, status_code=200 if is_ready else 503)


@routes.get("/health")
async def health(request: Request) -> dict[str, Any]:
    """Everything the service knows of its own state."""
    return await describe(service_of(request))


async def describe(service: RouterService) -> dict[str, Any]:
    """Backend, models, embedder and memory, as JSON."""
    loaded = await service.models.loaded()
    status = service.models.status
    embedder = service.embedder.status()
    degraded = (
        not status.ready
        or bool(status.missing)
        or not all(_is_well(breaker) for breaker in service.models.breakers.values())
        or embedder.state == "failed"
        or service.sessions_note is not None
        or bool(service.deps.speeds.counting.cuts)
    )
    return {
        "status": "starting" if status.kind == "starting" else "degraded" if degraded else "ok",
        "version": service.version,
        "uptime_s": round(time.monotonic() - service.started, 1),
        "backend": {
            "kind": status.kind,
            "base_url": status.base_url if status.kind != "embedded" else None,
            "version": status.version,
            "reachable": status.reachable,
            "reason": status.reason,
            "waiting_calls": dict(service.models.waiting_calls),
            "memory_plan": _memory_plan(service.models.memory_plan),
        },
        "models": {role: _model(service, role, loaded or {}) for role in ROLES},
        "counting": service.deps.speeds.counting.report(),
        "embedder": asdict(embedder),
        "memory": await _memory(service),
        "sessions": {"kept": service.deps.sessions.store is not None, "note": service.sessions_note},
    }


def _memory_plan(plan: MemoryPlan) -> dict[str, Any]:
    return {
        "available_gb": round(plan.available_gb, 1),
        "needed_gb": round(plan.total_gb(), 1),
        "cache_type": plan.cache_type,
        "models": {
            need.model: {
                "weights_gb": round(need.weights_gb, 1),
                "cache_gb": round(need.cache_gb(plan.cache_type), 1),
            }
            for need in plan.needs
        },
        "problem": plan.problem(),
    }


def _model(service: RouterService, role: Role, loaded: Mapping[str, LoadedModel]) -> dict[str, Any]:
    status = service.models.status
    card, pull = status.models.get(role), status.missing.get(role)
    described: dict[str, Any] = {
        "wanted": service.settings.models.roles[role].model,
        "present": card is not None,
    }
    if card:
        described |= {
            "model": card.name,
            "window_tokens": card.window_tokens,
            "tools": card.tools,
            "vision": card.vision,
            "thinking": card.thinking,
            "loaded": _loaded(loaded[card.name], card) if card.name in loaded else None,
        }
        breaker = service.models.breakers.get(card.name)
        described["breaker"] = breaker.state if breaker else "closed"
        if breaker and breaker.reason:
            described["broken"] = breaker.reason
    if pull:
        described["to_get_it"] = pull
    if described.get("breaker") != "closed":
        described["stands_in"] = _stand_in(service, role)
    return described


def _loaded(model: LoadedModel, card: ModelCard) -> dict[str, Any]:
    foreign = (
        f"Another client loaded it with a window of {model.window_tokens} tokens, ours is {card.window_tokens}: the "
        "next call loads it anew. Let that client come through this service, or send the same num_ctx."
    )
    return {
        "window_tokens": model.window_tokens,
        "size_bytes": model.size_bytes,
        "vram_bytes": model.vram_bytes,
        "ram_share": round(model.ram_share, 3),
        "expires_at": model.expires_at.isoformat() if model.expires_at else None,
        "note": None if loaded_as_ours(model, card.window_tokens) else foreign,
    }


def _stand_in(service: RouterService, role: Role) -> Role | None:
    """Who answers in this role's place: the first of its fallbacks that is there and well."""
    cards, breakers = service.models.status.models, service.models.breakers
    there = (each for each in service.settings.models.roles[role].fallbacks if each in cards)
    return next((each for each in there if _is_well(breakers.get(cards[each].name))), None)


def _is_well(breaker: Breaker | None) -> bool:
    return breaker is None or breaker.state == "closed"


async def _memory(service: RouterService) -> dict[str, Any]:
    settings = service.settings.memory
    described: dict[str, Any] = {
        "enabled": settings.enabled,
        "indexes": [{**asdict(index), "root": str(index.root)} for index in service.memory.indexes()],
    }
    if settings.enabled and settings.default_workspace:
        bank = await service.memory.status(settings.default_workspace)
        described["default_workspace"] = {
            "workspace": str(bank.workspace),
            "bank": str(bank.root) if bank.root else None,
            "files": bank.files,
            "chunks": bank.chunks,
            "vectors": bank.vectors,
            "vectors_ready": bank.vectors_ready,
            "note": bank.note,
        }
    return described

"""`POST /v1/route`: what would be decided for a chat, without answering it. Calls no model and changes nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from chains.decision import RouteDecision
from chains.ledger import Ledger
from chains.turn import Turn
from graphs.kept_memory import block_tokens, that_fit
from graphs.planning import plan
from graphs.state import RouteUpdate
from wire.journal import decision_headers
from wire.limits import read_bounded_json
from wire.parse import parse_turn
from wire.replies import RouteExplained
from wire.service import RouterService, service_of
from wire.validate import parse_chat_request

routes = APIRouter()


@routes.post("/v1/route", response_model=RouteExplained)
async def explain_route(request: Request) -> Response:
    """Decide as for `POST /v1/chat/completions`, with the same body; answers with the decision and the ledger."""
    service = service_of(request)
    body = await read_bounded_json(request, service.settings.server)
    parsed = parse_turn(parse_chat_request(body), request.headers)
    decision, ledger = await explain(parsed.turn, service)
    told = orjson.dumps(explanation(decision, ledger))
    return Response(told, media_type="application/json", headers=decision_headers(decision))


async def explain(turn: Turn, service: RouterService) -> tuple[RouteDecision, Ledger]:
    """What would be decided for a turn, and its ledger with the memory of earlier turns; raises as `plan`."""
    planned = await plan(turn, service.deps, dry=True)
    return planned["decision"], await asyncio.to_thread(_with_kept_memory, planned, service)


def explanation(decision: RouteDecision, ledger: Ledger) -> dict[str, Any]:
    """Both as plain values."""
    return {"decision": decision.report(), "ledger": _as_json(ledger)}


def _with_kept_memory(planned: RouteUpdate, service: RouterService) -> Ledger:
    """The ledger with the blocks of earlier turns; what this turn would get is not looked up, as that may index."""
    deps, correction, blocks = service.deps, planned["correction"], planned["kept"].blocks
    tokens = {index: correction.of(count) for index, count in block_tokens(blocks, deps.counts).items()}
    return that_fit(blocks, tokens, planned["ledger"])[1]


def _as_json(ledger: Ledger) -> dict[str, Any]:
    return {
        "window": ledger.window,
        "prompt": ledger.prompt,
        "system": ledger.system,
        "tools": ledger.tools,
        "history": ledger.history,
        "memory": ledger.memory,
        "answer": ledger.answer,
        "margin": ledger.margin,
        "room": ledger.room,
        "left_out": list(ledger.left_out),
    }

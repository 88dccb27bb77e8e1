"""`GET /`: the status page, kept fresh over server-sent events, and a form to try a request on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from importlib.resources import files
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, StreamingResponse

from chains.ledger import Ledger
from chains.turn import Turn
from config.errors import RequestNotKept
from config.schema import Mode
from retrievers.types import Retrieval
from wire.cline_settings import cline_settings
from wire.limits import read_bounded_json
from wire.page.board import REFRESH_S, Board
from wire.page.rendering import render
from wire.parse import parse_turn
from wire.route import explain
from wire.service import RouterService, service_of
from wire.sse import HEARTBEAT
from wire.validate import parse_chat_request, validated

HEARTBEAT_S = 15.0
# Nothing on the page may run or be fetched but the page's own files: a memory bank may hold anything.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
ASSETS = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}

routes = APIRouter(include_in_schema=False)


class Tried(BaseModel):
    """What the form sends."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=20_000)
    workspace: str = Field(default="", max_length=4_096)
    mode: Mode = "none"


@routes.get("/")
async def page(request: Request) -> HTMLResponse:
    """The whole page, readable without scripts."""
    service = service_of(request)
    sections = await _board(request).sections(anew=True) | {"setup": _setup(request)}
    model = service.settings.server.model_id
    return HTMLResponse(render("page.html", version=service.version, model=model, **sections), headers=HEADERS)


@routes.get("/page/assets/{name}")
async def asset(name: str) -> Response:
    """One of the page's own files."""
    if name not in ASSETS:
        raise HTTPException(404)
    content = await asyncio.to_thread(files("wire.page").joinpath("assets", name).read_bytes)
    return Response(content, media_type=ASSETS[name], headers=HEADERS)


@routes.get("/page/live")
async def live(request: Request) -> StreamingResponse:
    """The page's sections as server-sent events: each when it has changed."""
    return StreamingResponse(_changes(request), media_type="text/event-stream", headers=HEADERS)


@routes.get("/page/requests/{request_id}")
async def past_request(request: Request, request_id: str) -> HTMLResponse:
    """The decision of one of the last requests, and what its context was made of."""
    past = service_of(request).recent.find(request_id)
    if past is None:
        raise RequestNotKept("That request is not among the last ones any more: look into the log.", param="request_id")
    routed = past.routed
    return HTMLResponse(
        render(
            "past.html",
            past=past,
            decision=routed.decision,
            ledger=routed.ledger,
            note=routed.memory_note,
            sources=routed.sources,
            passages=(),
        ),
        headers=HEADERS,
    )


@routes.post("/page/try")
async def try_request(request: Request) -> Response:
    """Who would answer, and what the memory bank would add; calls no model."""
    service = service_of(request)
    tried = validated(Tried, await read_bounded_json(request, service.settings.server))
    turn = _turn(tried, service)
    decision, ledger = await explain(turn, service)
    found = await _recalled(turn, ledger, service)
    return HTMLResponse(
        render(
            "decision.html",
            decision=decision,
            ledger=ledger.with_memory(found.tokens),
            note=found.note,
            sources=(),
            passages=found.passages,
        ),
        headers=HEADERS,
    )


def _turn(tried: Tried, service: RouterService) -> Turn:
    metadata = {"mode": tried.mode} | ({"workspace": tried.workspace} if tried.workspace else {})
    body = {
        "model": service.settings.server.model_id,
        "metadata": metadata,
        "messages": [{"role": "user", "content": tried.text}],
    }
    return parse_turn(parse_chat_request(body), {}).turn


async def _recalled(turn: Turn, ledger: Ledger, service: RouterService) -> Retrieval:
    memory = service.settings.memory
    workspace = turn.workspace or memory.default_workspace
    if not memory.enabled or workspace is None:
        return Retrieval()
    budget = min(memory.budget_tokens, int(ledger.window * memory.window_share), ledger.room)
    return await service.memory.recall(workspace, turn.person_text, budget)


def _board(request: Request) -> Board:
    board: Board = request.app.state.board
    return board


def _setup(request: Request) -> str:
    """What to paste into Cline, with the service's address as this browser reached it."""
    service, base_url = service_of(request), str(request.base_url).rstrip("/")
    return render("setup.html", settings=cline_settings(service.settings, base_url, service.models.status.models))


async def _changes(request: Request) -> AsyncGenerator[bytes, None]:
    """Ends when the service is told to stop, so that nobody's page holds it up."""
    board, shown, said_at = _board(request), dict[str, str](), 0.0
    while not request.app.state.intake.closed:
        sections = await board.sections() | {"setup": _setup(request)}
        changed = {name: html for name, html in sections.items() if shown.get(name) != html}
        shown |= changed
        if changed or time.monotonic() - said_at >= HEARTBEAT_S:
            said_at = time.monotonic()
            yield b"".join(_event(name, html) for name, html in changed.items()) or HEARTBEAT
        await asyncio.sleep(REFRESH_S)


def _event(name: str, value: Any) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(value) + b"\n\n"

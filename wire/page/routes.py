"""`GET /`: the status page, kept fresh over server-sent events, and a form to try a request on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from importlib.resources import files
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, StreamingResponse

from chains.ledger import Ledger
from chains.turn import Turn
from config.errors import RequestNotKept
from config.schema import Mode
from retrievers.types import Retrieval
from wire.errors import NGINX_CLIENT_GONE
from wire.limits import read_bounded_json
from wire.page.picture import picture_banks, picture_models, picture_setup
from wire.page.rendering import render
from wire.parse import parse_turn
from wire.problems import first_problem
from wire.route import explain
from wire.service import RouterService, service_of
from wire.sse import HEARTBEAT
from wire.validate import parse_chat_request

REFRESH_S = 1.0
BANKS_REFRESH_S = 10.0
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
    sections = await _sections(service, str(request.base_url), banks=True)
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
            "decision.html",
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
    try:
        tried = Tried.model_validate(await read_bounded_json(request, service.settings.server))
    except ValidationError as error:
        raise first_problem(error) from None
    except ClientDisconnect:
        return Response(status_code=NGINX_CLIENT_GONE)
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


async def _sections(service: RouterService, base_url: str, *, banks: bool) -> dict[str, str]:
    sections: dict[str, str] = {
        "models": render("models.html", picture=await picture_models(service)),
        "setup": render("setup.html", setup=picture_setup(service, base_url)),
        "requests": render(
            "requests.html", requests=service.recent.requests, switching_today_s=service.recent.switching_today_s
        ),
    }
    if banks:
        sections["banks"] = render("banks.html", banks=await picture_banks(service))
    return sections


async def _changes(request: Request) -> AsyncGenerator[bytes, None]:
    """Ends when the service is told to stop, so that nobody's page holds it up."""
    service, base_url = service_of(request), str(request.base_url)
    shown: dict[str, str] = {}
    banks_at = said_at = 0.0
    while not request.app.state.intake.closed:
        now = time.monotonic()
        due = now - banks_at >= BANKS_REFRESH_S
        banks_at = now if due else banks_at
        sections = await _sections(service, base_url, banks=due)
        changed = {name: html for name, html in sections.items() if shown.get(name) != html}
        shown |= changed
        if changed or now - said_at >= HEARTBEAT_S:
            said_at = now
            yield b"".join(_event(name, html) for name, html in changed.items()) or HEARTBEAT
        await asyncio.sleep(REFRESH_S)


def _event(name: str, value: Any) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(value) + b"\n\n"

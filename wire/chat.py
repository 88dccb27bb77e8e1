"""`POST /v1/chat/completions`."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any, cast

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from chains.events import RouterEvent
from chains.turn import Turn
from config.errors import RouterError
from wire.answering import Pace, StreamResponse, WholeResponse
from wire.body import read_json
from wire.chunks import Stamp
from wire.errors import NGINX_CLIENT_GONE, error_response, error_row
from wire.journal import RequestJournal
from wire.openai_request import parse_chat_request
from wire.parse import ParsedRequest, parse_turn
from wire.request_id import request_id_of
from wire.service import RouterService, service_of

routes = APIRouter()


@routes.post("/v1/chat/completions")
async def chat_completions(request: Request) -> Response:
    """Answer a chat, streamed or whole. All that can be refused is refused before the first byte."""
    service = service_of(request)
    journal = RequestJournal(request_id_of(request))
    try:
        body = await read_json(request, max_bytes=service.settings.server.max_body_bytes)
        parsed = parse_turn(parse_chat_request(body), request.headers)
    except RouterError as error:
        journal.close(error_row(error).code)
        return error_response(error, journal.headers())
    except ClientDisconnect:
        journal.close("client_gone")
        return Response(status_code=NGINX_CLIENT_GONE)
    journal.dialect, journal.stream = parsed.dialect, parsed.stream
    return _answer(service, parsed, journal)


def _answer(service: RouterService, parsed: ParsedRequest, journal: RequestJournal) -> Response:
    server = service.settings.server
    stamp = Stamp(f"chatcmpl-{journal.request_id}", int(time.time()), server.model_id)
    pace = Pace(server.hold_status_s, server.heartbeat_s)
    run = partial(run_graph, service, parsed.turn)
    if not parsed.stream:
        return WholeResponse(run, stamp, journal, pace)
    return StreamResponse(
        run,
        stamp,
        journal,
        pace,
        include_usage=parsed.include_usage,
        lenient_end=parsed.dialect == "cline_sdk",
    )


async def run_graph(service: RouterService, turn: Turn) -> AsyncGenerator[RouterEvent, None]:
    """The events of one run of the graph; closing this ends the run and its model call."""
    # LangGraph types its stream as an iterator; it is a generator, and must be closed as one.
    stream = cast(
        "AsyncGenerator[Any, None]",
        service.graph.astream({"turn": turn}, context=service.deps, stream_mode="custom"),
    )
    async with aclosing(stream) as events:
        async for event in events:
            yield event

"""`POST /v1/chat/completions`."""

from __future__ import annotations

import time
from functools import partial

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from config.errors import RouterError
from graphs.state import RouterInput
from wire.answering import Pace, StreamResponse, WholeResponse
from wire.chunks import Stamp
from wire.errors import NGINX_CLIENT_GONE, error_response, error_row
from wire.journal import RequestJournal
from wire.limits import read_bounded_json
from wire.parse import ParsedRequest, parse_turn
from wire.request_id import request_id_of
from wire.run import run_graph
from wire.service import RouterService, service_of
from wire.validate import parse_chat_request
from wire.writer import ChatWriter

routes = APIRouter()


@routes.post("/v1/chat/completions")
async def chat_completions(request: Request) -> Response:
    """Answer a chat, streamed or whole. All that can be refused is refused before the first byte."""
    service = service_of(request)
    journal = RequestJournal(request_id_of(request))
    try:
        body = await read_bounded_json(request, service.settings.server)
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
    writer = ChatWriter(
        Stamp(f"chatcmpl-{journal.request_id}", int(time.time()), server.model_id),
        include_usage=parsed.include_usage,
        lenient_end=parsed.dialect == "cline_sdk",
    )
    send = StreamResponse if parsed.stream else WholeResponse
    run = partial(run_graph, service, RouterInput(turn=parsed.turn))
    pace = Pace(server.hold_status_s, server.heartbeat_s)
    return send(run, writer, journal, pace, explain=parsed.explain)

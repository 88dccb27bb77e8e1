"""What the chat APIs have in common: read a body as a chat request, run its Turn, answer in the API's own words."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from config.errors import RouterError
from graphs.state import RouterInput
from wire.answering import Pace, StreamResponse, WholeResponse
from wire.chunks import Stamp
from wire.errors import error_row
from wire.journal import CLIENT_GONE
from wire.limits import read_bounded_json
from wire.openai_request import ChatRequest
from wire.parse import ParsedRequest, parse_turn
from wire.request_id import request_id_of
from wire.run import run_graph
from wire.service import service_of
from wire.twins import Twins, twin_key
from wire.writer import AnswerWriter

MakeWriter = Callable[[Stamp, ParsedRequest], AnswerWriter]
ReadBody = Callable[[Any], tuple[ChatRequest, MakeWriter]]


async def serve_turn(request: Request, read: ReadBody, *, id_prefix: str) -> Response:
    """Answer, streamed or whole. All that can be refused is refused before the first byte, by raising why.

    Args:
        request: its body is read here, within the limits.
        read: validates a decoded body and says who writes the answer; raises `BadRequest`.
        id_prefix: what the answer's id begins with.
    """
    service = service_of(request)
    server = service.settings.server
    journal = service.journal(request_id_of(request))
    try:
        body = await read_bounded_json(request, server)
        chat, make_writer = read(body)
        parsed = parse_turn(chat, request.headers)
    except RouterError as error:
        journal.close(error_row(error).code)
        raise
    except ClientDisconnect:
        journal.close(CLIENT_GONE)
        raise
    journal.dialect, journal.stream = parsed.dialect, parsed.stream
    writer = make_writer(Stamp(f"{id_prefix}{journal.request_id}", int(service.now()), server.model_id), parsed)
    send = StreamResponse if parsed.stream else WholeResponse
    turn = parsed.turn
    open_run = partial(
        twins_of(request).open,
        partial(run_graph, service, RouterInput(turn=turn)),
        key=twin_key(request.url.path, body, turn.workspace, turn.session),
        # Agents and whoever names the conversation ask one thing at a time.
        beside=parsed.dialect.startswith("cline") or turn.session is not None,
    )
    return send(open_run, writer, journal, Pace(server.hold_status_s, server.heartbeat_s), explain=parsed.explain)


def twins_of(request: Request) -> Twins:
    """Those of the application."""
    twins: Twins = request.app.state.twins
    return twins

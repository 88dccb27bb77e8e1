"""`POST /v1/messages`: Anthropic's API over the same Turn, for Claude Code and others that speak nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import JSONResponse

from chains.counting import count_json, count_message
from chains.turn import Turn
from wire.chunks import Stamp
from wire.limits import read_bounded_json
from wire.messages_parse import as_chat
from wire.messages_request import CountRequest, MessagesRequest
from wire.messages_writer import MessagesWriter
from wire.openai_request import ChatRequest
from wire.parse import ParsedRequest, parse_turn
from wire.replies import AnthropicMessage, TokenCount
from wire.serve_turn import MakeWriter, serve_turn
from wire.service import service_of
from wire.validate import validated

routes = APIRouter()


@routes.post("/v1/messages", response_model=AnthropicMessage)
async def messages(request: Request) -> Response:
    """Answer a conversation in Anthropic's format, streamed or whole."""
    return await serve_turn(request, _read, id_prefix="msg_")


@routes.post("/v1/messages/count_tokens", response_model=TokenCount)
async def count_tokens(request: Request) -> Response:
    """Count what a conversation's prompt would have, by the router's own tokenizer and without memory."""
    body = await read_bounded_json(request, service_of(request).settings.server)
    turn = parse_turn(as_chat(validated(CountRequest, body)), request.headers).turn
    return JSONResponse({"input_tokens": await asyncio.to_thread(_tokens, turn)})


def _read(body: Any) -> tuple[ChatRequest, MakeWriter]:
    asked = validated(MessagesRequest, body)
    with_thinking = asked.thinking is not None and asked.thinking.type != "disabled"

    def writer(stamp: Stamp, _: ParsedRequest) -> MessagesWriter:
        return MessagesWriter(stamp, with_thinking=with_thinking)

    return as_chat(asked), writer


def _tokens(turn: Turn) -> int:
    return sum(map(count_message, turn.messages)) + (count_json(turn.tools) if turn.offers_tools else 0)

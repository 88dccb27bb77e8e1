"""`POST /v1/chat/completions`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from wire.chunks import Stamp
from wire.openai_request import ChatRequest
from wire.parse import ParsedRequest
from wire.replies import ChatCompletion
from wire.serve_turn import MakeWriter, serve_turn
from wire.validate import parse_chat_request
from wire.writer import ChatWriter

routes = APIRouter()


@routes.post("/v1/chat/completions", response_model=ChatCompletion)
async def chat_completions(request: Request) -> Response:
    """Answer a chat, streamed or whole. All that can be refused is refused before the first byte."""
    return await serve_turn(request, _read, id_prefix="chatcmpl-")


def _read(body: Any) -> tuple[ChatRequest, MakeWriter]:
    return parse_chat_request(body), _writer


def _writer(stamp: Stamp, parsed: ParsedRequest) -> ChatWriter:
    lenient = parsed.dialect == "cline_sdk"
    return ChatWriter(stamp, include_usage=parsed.include_usage, lenient_end=lenient)

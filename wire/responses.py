"""`POST /v1/responses`: OpenAI's newer API over the same Turn, for Codex and others. Nothing is stored."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from wire.chunks import Stamp
from wire.openai_request import ChatRequest
from wire.parse import ParsedRequest
from wire.replies import OpenAIResponse
from wire.responses_parse import as_chat
from wire.responses_request import ResponsesRequest
from wire.responses_writer import ResponsesWriter
from wire.serve_turn import MakeWriter, serve_turn
from wire.validate import validated

routes = APIRouter()


@routes.post("/v1/responses", response_model=OpenAIResponse)
async def responses(request: Request) -> Response:
    """Answer a conversation in the format of OpenAI's responses, streamed or whole."""
    return await serve_turn(request, _read, id_prefix="resp_")


def _read(body: Any) -> tuple[ChatRequest, MakeWriter]:
    asked = validated(ResponsesRequest, body)

    def writer(stamp: Stamp, _: ParsedRequest) -> ResponsesWriter:
        return ResponsesWriter(stamp, asked)

    return as_chat(asked), writer

"""The OpenAPI document: bodies that routes read by themselves, streams, errors and the key are told in it too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from wire.embeddings import EmbeddingsRequest
from wire.errors import ANTHROPICS
from wire.memory_replies import ErrorReply
from wire.messages_request import CountRequest, MessagesRequest
from wire.openai_request import ChatRequest
from wire.replies import AnthropicError
from wire.responses_request import ResponsesRequest

_BODIES: Mapping[str, type[BaseModel]] = {
    "/v1/chat/completions": ChatRequest,
    "/v1/route": ChatRequest,
    "/v1/responses": ResponsesRequest,
    "/v1/messages": MessagesRequest,
    "/v1/messages/count_tokens": CountRequest,
    "/v1/embeddings": EmbeddingsRequest,
}
_STREAMS = ("/v1/chat/completions", "/v1/responses", "/v1/messages")
_ONLY_STREAMS = ("/stream", "/stream_log")
_EVENT = {"type": "object", "properties": {"event": {"type": "string"}, "data": {"type": "string"}}}
_EVENTS = {"text/event-stream": {"schema": _EVENT}}
_PREFIX = "#/components/schemas/"

Json = dict[str, Any]


def describe(app: FastAPI, add_late_routes: Callable[[], None]) -> None:
    """Have the application give the whole document, made once at the first question, after `add_late_routes`."""

    def openapi() -> Json:
        if app.openapi_schema is None:
            add_late_routes()
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's guide has it


def _document(app: FastAPI) -> Json:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    parts = document.setdefault("components", {})
    # Without repetitions, and in an order of their own.
    models: dict[type[BaseModel], None] = dict.fromkeys([*_BODIES.values(), ErrorReply, AnthropicError])
    references, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template=_PREFIX + "{model}"
    )
    parts["schemas"] = {**schemas["$defs"], **parts.get("schemas", {})}
    parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "Where API_KEY is set."}}
    document["security"] = [{}, {"key": []}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _tell_errors(path, operation["responses"])
            if path in _BODIES:
                schema = references[_BODIES[path], "validation"]
                operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
            if path in _STREAMS:
                operation["responses"]["200"]["content"] |= _EVENTS
            if path.endswith(_ONLY_STREAMS):
                operation["responses"]["200"]["content"] = _EVENTS
    return document


def _tell_errors(path: str, responses: Json) -> None:
    """Every route's errors are objects of ours; FastAPI's own 422 never comes."""
    responses.pop("422", None)
    reply = AnthropicError if path.startswith(ANTHROPICS) else ErrorReply
    schema: Json = {"$ref": f"{_PREFIX}{reply.__name__}"}
    for status, meaning in (("4XX", "What is wrong, and what to do."), ("5XX", "What failed; trying again may help.")):
        responses[status] = {"description": meaning, "content": {"application/json": {"schema": schema}}}

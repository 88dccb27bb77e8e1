"""The ASGI front: key check, routing, body limit, errors in Ollama's shape, clients that hang up."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

import orjson

from backends.embedded.replies import ApiError, JsonReply, LinesReply, Reply, TextReply

MAX_BODY_BYTES = 64 * 1024 * 1024

Handler = Callable[[bytes], Awaitable[Reply]]
Routes = Mapping[str, tuple[str, Handler]]
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_JSON = b"application/json; charset=utf-8"
_NDJSON = b"application/x-ndjson"
_TEXT = b"text/plain; charset=utf-8"


class EmbeddedApp:
    """An ASGI application; `routes` maps a path to its method and handler. It sends no CORS header, ever."""

    def __init__(self, routes: Routes, key: str) -> None:
        self._routes = routes
        self._authorization = f"Bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; when the client hangs up, what works for it is cancelled."""
        if scope["type"] != "http":
            return
        try:
            handler = self._handler(scope)
            body = await _read_body(receive)
        except ApiError as exc:
            await _send_error(send, exc)
            return
        if body is None:
            return
        async with asyncio.TaskGroup() as group:
            work = group.create_task(_answer(handler, body, send))
            hang_up = group.create_task(_hang_up(receive))
            await asyncio.wait((work, hang_up), return_when=asyncio.FIRST_COMPLETED)
            work.cancel()
            hang_up.cancel()

    def _handler(self, scope: Scope) -> Handler:
        sent = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(sent, self._authorization):
            raise ApiError(HTTPStatus.UNAUTHORIZED, "unauthorized")
        route = self._routes.get(scope["path"])
        if route is None:
            raise ApiError(HTTPStatus.NOT_FOUND, f"path {scope['path']!r} not found")
        method, handler = route
        if scope["method"] != method and (scope["method"], method) != ("HEAD", "GET"):
            raise ApiError(HTTPStatus.METHOD_NOT_ALLOWED, f"method not allowed: use {method}")
        return handler


async def _read_body(receive: Receive) -> bytes | None:
    """None when the client hung up while sending."""
    parts: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        part: bytes = event.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"request body is larger than {MAX_BODY_BYTES} bytes")
        parts.append(part)
        if not event.get("more_body", False):
            return b"".join(parts)


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(handler: Handler, body: bytes, send: Send) -> None:
    try:
        reply = await handler(body)
        if isinstance(reply, LinesReply):
            await _send_lines(send, reply)
        elif isinstance(reply, TextReply):
            await _send_whole(send, HTTPStatus.OK, _TEXT, reply.text.encode())
        else:
            await _send_json(send, HTTPStatus.OK, reply)
    except ApiError as exc:
        await _send_error(send, exc)


async def _send_lines(send: Send, reply: LinesReply) -> None:
    """Errors before the first line are raised, for an HTTP status; later ones become the last line."""
    started = False
    async with aclosing(reply.lines) as lines:
        try:
            async for line in lines:
                if not started:
                    await _start(send, HTTPStatus.OK, _NDJSON)
                    started = True
                await send({"type": "http.response.body", "body": orjson.dumps(line) + b"\n", "more_body": True})
        except ApiError as exc:
            if not started:
                raise
            line = {"error": exc.message}
            await send({"type": "http.response.body", "body": orjson.dumps(line) + b"\n", "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _send_error(send: Send, error: ApiError) -> None:
    await _send_json(send, error.status, JsonReply({"error": error.message}))


async def _send_json(send: Send, status: int, reply: JsonReply) -> None:
    await _send_whole(send, status, _JSON, orjson.dumps(reply.body))


async def _send_whole(send: Send, status: int, content_type: bytes, body: bytes) -> None:
    await _start(send, status, content_type, (b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.body", "body": body})


async def _start(send: Send, status: int, content_type: bytes, *headers: tuple[bytes, bytes]) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": int(status),
            "headers": [(b"content-type", content_type), *headers],
        }
    )

"""Gives every request an id: the client's own `x-request-id` where it sends a sane one."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-request-id"
_current: ContextVar[str] = ContextVar("request_id")
_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def random_id() -> str:
    """24 characters that nobody else has."""
    return uuid.uuid4().hex[:24]


class RequestIdMiddleware:
    """Puts the id into the request's state and into every response."""

    def __init__(self, app: ASGIApp, *, new_id: Callable[[], str] = random_id) -> None:
        self._app = app
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(HEADER, "")
        request_id = sent if _SANE.fullmatch(sent) else self._new_id()
        scope.setdefault("state", {})["request_id"] = request_id
        _current.set(request_id)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)


def request_id_of(request: Request) -> str:
    """The id of this request."""
    return str(request.state.request_id)


def current_request_id() -> str:
    """The id of the request that is being served here, for those who do not see it; a new one outside of any."""
    return _current.get(None) or random_id()

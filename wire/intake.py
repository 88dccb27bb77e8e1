"""Lets requests in and counts those that run; once closed it refuses new ones, so that a stopping service ends well."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from config.errors import BackendUnavailable
from wire.errors import error_response

STOPPING = BackendUnavailable("The router is being stopped: try again once it runs.", retry_after_s=5)
_ALWAYS_OPEN = ("/health", "/metrics")


class Intake:
    """Shared by the middleware, which obeys it, and the server, which closes it."""

    def __init__(self) -> None:
        self.closed = False
        self.running = 0


class IntakeMiddleware:
    """Answers 503 with `Retry-After` once the intake is closed; health and metrics can be read to the end."""

    def __init__(self, app: ASGIApp, *, intake: Intake) -> None:
        self._app = app
        self._intake = intake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_ALWAYS_OPEN):
            await self._app(scope, receive, send)
            return
        if self._intake.closed:
            await error_response(STOPPING, scope)(scope, receive, send)
            return
        self._intake.running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._intake.running -= 1

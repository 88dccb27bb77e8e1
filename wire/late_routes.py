"""Routes that are made when they are first asked for: what most never use need not take part in every start."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable

from starlette.types import ASGIApp, Receive, Scope, Send


class LateRoutes:
    """Has `add` add routes to the application, once; thread-safe. What it fails with once, it fails with again."""

    def __init__(self, add: Callable[[], None]) -> None:
        self._add = add
        self._adding = threading.Lock()
        self._failed: Exception | None = None
        self.are_added = False

    def ensure(self) -> None:
        """Return with the routes there; blocks."""
        with self._adding:
            if self._failed:
                raise self._failed.with_traceback(None)
            if self.are_added:
                return
            try:
                self._add()
            except Exception as error:
                self._failed = error
                raise
            self.are_added = True


class LateRoutesMiddleware:
    """Ensures `routes` before a request below one of `paths` goes on to them."""

    def __init__(self, app: ASGIApp, *, routes: LateRoutes, paths: Iterable[str]) -> None:
        self._app = app
        self._routes = routes
        self._prefixes = tuple(f"{path}/" for path in paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._routes.are_added and scope["path"].startswith(self._prefixes):
            await asyncio.to_thread(self._routes.ensure)
        await self._app(scope, receive, send)

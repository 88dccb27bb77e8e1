"""Guards LangServe's routes: it neither bounds what a request holds nor ends a run whose client has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.errors import BadRequest
from config.settings import ServerSettings
from wire.body import decode_json, read_body
from wire.errors import error_response
from wire.hang_up import run_until_hang_up
from wire.limits import check_amounts

_ANSWERED_WHOLE = ("/invoke", "/batch")
_POSTED_TO = (*_ANSWERED_WHOLE, "/stream", "/stream_log")


class PublishedGuard:
    """Middleware for the routes below `paths`: a body holds what `server` allows, a hang-up ends invoke and batch.

    LangServe's streams watch their client themselves.
    """

    def __init__(self, app: ASGIApp, *, paths: Iterable[str], server: ServerSettings) -> None:
        self._app = app
        self._prefixes = tuple(f"{path}/" for path in paths)
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not self._guards(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            body = await read_body(Request(scope, receive), max_bytes=self._server.max_body_bytes)
            for question in _questions(scope["path"], decode_json(body)):
                check_amounts(question, self._server)
        except BadRequest as error:
            await error_response(error, scope)(scope, receive, send)
            return
        except ClientDisconnect:
            return
        if scope["path"].endswith(_ANSWERED_WHOLE):
            await run_until_hang_up(self._run(scope, _replay(body, _never), send), receive, name="published-graph")
        else:
            await self._app(scope, _replay(body, receive), send)

    def _guards(self, path: str) -> bool:
        """Not what nobody serves, such as `/chat/completions`, of which the router says so."""
        return path.startswith(self._prefixes) and path.endswith(_POSTED_TO)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _questions(path: str, body: Any) -> list[Any]:
    """What each run is asked. LangServe takes whatever stands in a batch's `inputs` for a list."""
    if not isinstance(body, dict):
        return []
    if not path.endswith("/batch"):
        return [body.get("input")]
    questions = body.get("inputs", [])
    if not isinstance(questions, list):
        raise BadRequest("inputs: must be a list of inputs: send one for each run.", param="inputs")
    return questions


def _replay(body: bytes, then: Receive) -> Receive:
    """Hands over the body that was read, and whatever comes afterwards."""
    read = False

    async def receive() -> Message:
        nonlocal read
        if read:
            return await then()
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _never() -> Message:
    """The hang-up is watched for by us; nobody else may take its message."""
    await asyncio.Event().wait()
    raise AssertionError("an event that nobody sets")

"""Sends one answer: holds the status line until the model speaks, keeps the line alive, ends what a client gave up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from backends.alarm import Alarm
from chains.events import Finished, Progress, ReasoningDelta, RouterEvent
from config.errors import RouterError
from wire.errors import error_response, error_row, internal_error
from wire.hang_up import run_until_hang_up
from wire.intake import STOPPING
from wire.journal import CLIENT_GONE, RequestJournal
from wire.run import Inbox
from wire.writer import AnswerWriter

# Of what has gathered for a client that reads slowly, which takes some ms at most; then others get their turn.
MOST_AT_ONCE_EVENTS = 128

OpenRun = Callable[[RequestJournal], AbstractAsyncContextManager[Inbox]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the status line may wait for the model, and after how much silence a heartbeat is sent, in seconds."""

    hold_status_s: float
    heartbeat_s: float


class AnswerResponse(Response):
    """An answer as an ASGI response. The run lives inside the call: who hangs up cancels it and its model call."""

    def __init__(
        self,
        open_run: OpenRun,
        writer: AnswerWriter,
        journal: RequestJournal,
        pace: Pace,
        *,
        explain: bool = False,
    ) -> None:
        super().__init__()
        self._explain = explain
        self._open_run = open_run
        self._writer = writer
        self._journal = journal
        self._pace = pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if not await run_until_hang_up(self._answer(scope, receive, send), receive, name="answer"):
                self._journal.close(CLIENT_GONE)
        except asyncio.CancelledError:
            await self._break_off(STOPPING, scope, receive, send)
            raise

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError

    def _explanation(self) -> dict[str, Any] | None:
        return self._journal.explanation() if self._explain else None

    async def _break_off(self, error: RouterError, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell the client that the answer will not come, or not to its end."""
        await self._refuse(error, scope, receive, send)

    async def _refuse(self, error: RouterError, scope: Scope, receive: Receive, send: Send) -> None:
        self._journal.close(error_row(error).code)
        await error_response(error, scope, self._journal.headers())(scope, receive, send)


class WholeResponse(AnswerResponse):
    """The answer as one JSON object."""

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        events: list[RouterEvent] = []
        try:
            async with self._open_run(self._journal) as inbox:
                while not events or not isinstance(events[-1], Finished):
                    events.append(await inbox.next())
                await inbox.drain()
        except RouterError as error:
            await self._refuse(error, scope, receive, send)
            return
        body = orjson.dumps(self._writer.whole(events, self._explanation()))
        response = Response(body, media_type="application/json", headers=self._journal.headers())
        await response(scope, receive, send)
        self._journal.close("ok")


class StreamResponse(AnswerResponse):
    """The answer as server-sent events; always ends as its API ends a whole answer or a broken one."""

    def __init__(
        self,
        open_run: OpenRun,
        writer: AnswerWriter,
        journal: RequestJournal,
        pace: Pace,
        *,
        explain: bool = False,
    ) -> None:
        super().__init__(open_run, writer, journal, pace, explain=explain)
        self._begun = False
        self._opened = False
        self._spoke = False
        self._unsent: list[bytes] = []

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._open_run(self._journal) as inbox:
            first: RouterEvent | None = None
            try:
                async with asyncio.timeout(self._pace.hold_status_s):
                    while first is None or isinstance(first, Progress):
                        first = await inbox.next()
            except TimeoutError:
                first = None
            except RouterError as error:
                await self._refuse(error, scope, receive, send)
                return
            with closing(Alarm(inbox.nudge)) as silence:
                await self._stream(first, inbox, silence, send)

    async def _stream(self, first: RouterEvent | None, inbox: Inbox, silence: Alarm, send: Send) -> None:
        await self._begin(send)
        try:
            if first is None and self._explain and self._journal.routed is None:
                first = await self._next(inbox, silence, send)  # the decision, which the first chunk is to tell
            self._open()
            event = first if first is not None else await self._next(inbox, silence, send)
            while not isinstance(event, Finished):
                written = self._writer.event(event)
                if written and not isinstance(event, ReasoningDelta):
                    self._spoke = True
                self._unsent.append(written)
                event = await self._next(inbox, silence, send)
            self._unsent.append(self._writer.ended(event))
            await self._flush(send)
            await inbox.drain()
        except RouterError as error:
            await self._end_broken(error, send)
            return
        except (TypeError, ValueError):
            log.exception("an answer that cannot be written", id=self._journal.request_id)
            await self._end_broken(internal_error(), send)
            return
        await _send(send, self._writer.closed(), more=False)
        self._journal.close("ok")

    async def _begin(self, send: Send) -> None:
        headers = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
            **self._journal.headers(),
        }
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        self._begun = True

    def _open(self) -> None:
        if not self._opened:
            self._opened = True
            self._unsent.append(self._writer.opened(self._explanation()))

    async def _flush(self, send: Send) -> None:
        unsent, self._unsent = b"".join(self._unsent), []
        if unsent:
            await _send(send, unsent)

    async def _break_off(self, error: RouterError, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._begun:
            await super()._break_off(error, scope, receive, send)
        elif not self._journal.closed:
            await self._end_broken(error, send)

    async def _end_broken(self, error: RouterError, send: Send) -> None:
        self._open()
        await self._flush(send)
        await _send(send, self._writer.broken(error, spoke=self._spoke), more=False)
        self._journal.close(error_row(error).code)

    async def _next(self, inbox: Inbox, silence: Alarm, send: Send) -> RouterEvent:
        """The next event. What is written is sent as soon as there is none, or much; where none comes, heartbeats."""
        if not inbox.has_next:
            await self._flush(send)
        elif len(self._unsent) >= MOST_AT_ONCE_EVENTS:
            await self._flush(send)
            await asyncio.sleep(0)
        else:
            return await inbox.next()
        silence.set_in(self._pace.heartbeat_s)
        while (event := await inbox.next_or_nudged()) is None:
            await self._flush(send)
            await _send(send, self._writer.heartbeat)
            silence.set_in(self._pace.heartbeat_s)
        return event


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})

"""Runs of the graph, each in a task of its own, and their events in order for whoever sends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from contextvars import Context
from typing import Any, cast

import structlog

from chains.events import Progress, RouterEvent
from config.errors import RouterError, UpstreamBroken
from graphs.state import RouterInput
from wire.errors import internal_error
from wire.journal import RequestJournal
from wire.service import RouterService

HANDOVER_EVENTS = 256
RECORD_TIMEOUT_S = 5.0

log = structlog.get_logger(__name__)

Events = AsyncGenerator[RouterEvent, None]


async def run_graph(service: RouterService, graph_input: RouterInput) -> Events:
    """The events of one run of the graph; closing this ends the run and its model call."""
    # LangGraph types its stream as an iterator; it is a generator, and must be closed as one.
    stream = cast(
        "AsyncGenerator[Any, None]",
        service.graph.astream(graph_input, context=service.deps, stream_mode="custom"),
    )
    async with aclosing(stream) as events:
        async for event in events:
            yield event


@asynccontextmanager
async def open_run(make: Callable[[], Events], journal: RequestJournal) -> AsyncIterator[Inbox]:
    """A run for one client alone: it ends with the block."""
    run = Run(make)
    try:
        yield run.join(journal)
    finally:
        await run.end()


class Run:
    """One run of the graph, whose events go to everybody who joined before it said anything of the answer.

    Its task is its own, so that waiting for an event may time out without ending it, and a caller's repeated
    cancellation (anyio's) does not cut its clean-up short. Its context is its own too: LangServe traces what runs in
    its own, and would send on what each node returns, a memory bank's text with it.
    """

    def __init__(self, make: Callable[[], Events]) -> None:
        self.begun = False
        self.inboxes: list[Inbox] = []
        self._make = make
        self._told: list[RouterEvent] = []
        self._ended = asyncio.Event()
        self.task = asyncio.create_task(self._work(), name="run-graph", context=Context())

    def join(self, journal: RequestJournal) -> Inbox:
        """Begin to receive, from the first event on; only before the run has begun to answer."""
        inbox = Inbox(journal, self._ended)
        for event in self._told:
            inbox.put_nowait(event)
        self.inboxes.append(inbox)
        return inbox

    async def end(self) -> None:
        """End the run and its model call, if they have not ended."""
        self.task.cancel()
        await asyncio.wait({self.task})

    async def _work(self) -> None:
        try:
            async with aclosing(self._make()) as events:
                async for event in events:
                    if isinstance(event, Progress):
                        self._told.append(event)
                    else:
                        self.begun = True
                    await self._hand_over(event)
            await self._hand_over(UpstreamBroken("The answer ended without its end mark: try again."))
        except RouterError as error:
            await self._hand_over(error)
        except Exception:
            log.exception("unexpected error in a run", ids=[inbox.request_id for inbox in self.inboxes])
            await self._hand_over(internal_error())
        finally:
            self._ended.set()

    async def _hand_over(self, item: RouterEvent | RouterError) -> None:
        """Who reads too slowly holds the run up if it is alone, and is left behind if others read too."""
        for inbox in tuple(self.inboxes):
            if inbox.is_full and len(self.inboxes) > 1:
                inbox.leave_behind()
                self.inboxes.remove(inbox)
            else:
                await inbox.put(item)


class Inbox:
    """What one client still has to be sent; an error of the run's is raised where the next event would come."""

    def __init__(self, journal: RequestJournal, ended: asyncio.Event) -> None:
        self._queue: asyncio.Queue[RouterEvent | RouterError] = asyncio.Queue(HANDOVER_EVENTS)
        self._journal = journal
        self._ended = ended
        self._left_behind = False

    @property
    def request_id(self) -> str:
        """Whose inbox this is."""
        return self._journal.request_id

    @property
    def is_full(self) -> bool:
        """Whether the next `put` has to wait for the client."""
        return self._queue.full()

    @property
    def has_next(self) -> bool:
        """Whether `next` would return at once."""
        return not self._queue.empty()

    async def put(self, item: RouterEvent | RouterError) -> None:
        """Wait for room, and take it in."""
        self._note(item)
        await self._queue.put(item)

    def put_nowait(self, item: RouterEvent) -> None:
        """Take it in where there is room."""
        self._note(item)
        self._queue.put_nowait(item)

    def leave_behind(self) -> None:
        """Nothing more comes; what is here is still read."""
        self._left_behind = True

    async def next(self) -> RouterEvent:
        """The next event; raises the `RouterError` the run ended with, `UpstreamBroken` past its last event."""
        if self._left_behind and self._queue.empty():
            raise UpstreamBroken("This answer was read too slowly, while another client reads the same one: ask again.")
        item = await self._queue.get()
        if isinstance(item, RouterError):
            raise item
        return item

    async def drain(self) -> None:
        """Let the run write its session record after the last event; a slow disk does not hold the client for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(RECORD_TIMEOUT_S):
                await self._ended.wait()

    def _note(self, item: RouterEvent | RouterError) -> None:
        if not isinstance(item, RouterError):
            self._journal.saw(item)

"""One run of the graph, in a task of its own, and its events in order for whoever sends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, cast

import structlog

from chains.events import RouterEvent
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
async def open_run(run: Callable[[], Events], journal: RequestJournal) -> AsyncIterator[Inbox]:
    """Start the run; its events come through a bounded queue, so that waiting for one may time out without ending it.

    A task of its own also keeps a caller's repeated cancellation (anyio's) from cutting the run's clean-up short.
    """
    inbox = Inbox(journal)
    pump = asyncio.create_task(inbox.fill(run), name="run-graph")
    try:
        yield inbox
    finally:
        pump.cancel()
        await asyncio.wait({pump})


class Inbox:
    """Hands events from the run to the sender; an error of the run's is raised where the next event would come."""

    def __init__(self, journal: RequestJournal) -> None:
        self._queue: asyncio.Queue[RouterEvent | RouterError] = asyncio.Queue(HANDOVER_EVENTS)
        self._journal = journal
        self._ended = asyncio.Event()

    async def fill(self, run: Callable[[], Events]) -> None:
        """Take the run's events in until its end."""
        try:
            async with aclosing(run()) as events:
                async for event in events:
                    self._journal.saw(event)
                    await self._queue.put(event)
            await self._queue.put(UpstreamBroken("The answer ended without its end mark: try again."))
        except RouterError as error:
            await self._queue.put(error)
        except Exception:
            log.exception("unexpected error in a run", id=self._journal.request_id)
            await self._queue.put(internal_error())
        finally:
            self._ended.set()

    @property
    def has_next(self) -> bool:
        """Whether `next` would return at once."""
        return not self._queue.empty()

    async def next(self) -> RouterEvent:
        """The next event; raises the `RouterError` the run ended with, `UpstreamBroken` past its last event."""
        item = await self._queue.get()
        if isinstance(item, RouterError):
            raise item
        return item

    async def drain(self) -> None:
        """Let the run write its session record after the last event; a slow disk does not hold the client for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(RECORD_TIMEOUT_S):
                await self._ended.wait()

"""Runs of the graph, each in a task of its own, and their events in order for whoever sends them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from dataclasses import replace

import structlog

from chains.events import Progress, RouterEvent
from config.errors import RouterError, UpstreamBroken
from graphs.state import RouterInput
from wire.errors import internal_error
from wire.journal import RequestJournal
from wire.service import RouterService

MAX_BEHIND_EVENTS = 256
RECORD_TIMEOUT_S = 5.0

log = structlog.get_logger(__name__)

Tell = Callable[[RouterEvent], None]
Work = Callable[[Tell], Awaitable[object]]


async def run_graph(service: RouterService, graph_input: RouterInput, tell: Tell) -> None:
    """Run the graph once and tell its events as they come; cancelling this ends its model call."""
    await service.graph.ainvoke(graph_input, context=replace(service.deps, tell=tell), stream_mode="updates")


@asynccontextmanager
async def open_run(work: Work, journal: RequestJournal) -> AsyncIterator[Inbox]:
    """A run for one client alone: it ends with the block."""
    run = Run(work)
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

    def __init__(self, work: Work) -> None:
        self.begun = False
        self.inboxes: list[Inbox] = []
        self._told: list[RouterEvent] = []
        self._ended = asyncio.Event()
        self.task = asyncio.create_task(self._run(work), name="run-graph", context=Context())

    def join(self, journal: RequestJournal) -> Inbox:
        """Begin to receive, from the first event on; only before the run has begun to answer."""
        inbox = Inbox(journal, self._ended)
        for event in self._told:
            inbox.put(event)
        self.inboxes.append(inbox)
        return inbox

    async def end(self) -> None:
        """End the run and its model call, if they have not ended."""
        self.task.cancel()
        await asyncio.wait({self.task})

    async def _run(self, work: Work) -> None:
        try:
            await work(self._tell)
            self._hand_over(UpstreamBroken("The answer ended without its end mark: try again."))
        except RouterError as error:
            self._hand_over(error)
        except Exception:
            log.exception("unexpected error in a run", ids=[inbox.request_id for inbox in self.inboxes])
            self._hand_over(internal_error())
        finally:
            self._ended.set()

    def _tell(self, event: RouterEvent) -> None:
        if not self.begun and isinstance(event, Progress):
            self._told.append(event)
        else:
            self.begun = True
        self._hand_over(event)

    def _hand_over(self, item: RouterEvent | RouterError) -> None:
        """Who reads too slowly is left behind if others read too. Alone, the whole answer waits for its client, which
        does not hold the model up.
        """
        for inbox in tuple(self.inboxes):
            if len(self.inboxes) > 1 and inbox.is_behind:
                inbox.leave_behind()
                self.inboxes.remove(inbox)
            else:
                inbox.put(item)


class Inbox:
    """What one client still has to be sent; an error of the run's is raised where the next event would come."""

    def __init__(self, journal: RequestJournal, ended: asyncio.Event) -> None:
        self._items: deque[RouterEvent | RouterError] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._journal = journal
        self._ended = ended
        self._left_behind = False

    @property
    def request_id(self) -> str:
        """Whose inbox this is."""
        return self._journal.request_id

    @property
    def is_behind(self) -> bool:
        """Whether the client has long not read."""
        return len(self._items) >= MAX_BEHIND_EVENTS

    @property
    def has_next(self) -> bool:
        """Whether `next` would return at once."""
        return bool(self._items)

    def put(self, item: RouterEvent | RouterError) -> None:
        """Take it in."""
        if not isinstance(item, RouterError):
            self._journal.saw(item)
        self._items.append(item)
        self.nudge()

    def leave_behind(self) -> None:
        """Nothing more comes; what is here is still read."""
        self._left_behind = True

    def nudge(self) -> None:
        """Let a waiting `next_or_nudged` return, also without an event."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def next(self) -> RouterEvent:
        """The next event; raises the `RouterError` the run ended with, `UpstreamBroken` past its last event."""
        while (event := await self.next_or_nudged()) is None:
            pass
        return event

    async def next_or_nudged(self) -> RouterEvent | None:
        """The same; None if a `nudge` comes first."""
        if not self._items:
            if self._left_behind:
                raise UpstreamBroken(
                    "This answer was read too slowly, while another client reads the same one: ask again."
                )
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
            if not self._items:
                return None
        item = self._items.popleft()
        if isinstance(item, RouterError):
            raise item
        return item

    async def drain(self) -> None:
        """Let the run write its session record after the last event; a slow disk does not hold the client for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(RECORD_TIMEOUT_S):
                await self._ended.wait()

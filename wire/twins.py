"""One run for a client that hung up and asks the very same again, while the model still reads the first prompt.

Reading a long prompt takes a model minutes, and a second one of the same bytes would begin after the first was given
up. So a run whose last client has gone before the answer began is kept for a moment, and who asks the same joins it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from backends.json_bytes import json_bytes
from wire.journal import RequestJournal
from wire.run import Inbox, Run, Work

# Short of the second within which a client that has gone is to have freed its model.
GRACE_S = 0.5


def twin_key(path: str, body: Any, workspace: Path | None, session: str | None) -> str:
    """Equal for requests that are the same in all that decides the answer."""
    return sha256(json_bytes([path, body, str(workspace), session])).hexdigest()


class Twins:
    """The runs whose answer has not begun, by the key of their request. Closed when the service stops."""

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._runs: dict[str, Run] = {}

    @asynccontextmanager
    async def open(self, work: Work, journal: RequestJournal, *, key: str, beside: bool) -> AsyncIterator[Inbox]:
        """Join the run of a twin whose clients have gone, else begin one.

        `beside` joins one that still has its client, too: for those who never ask twice on purpose. Others do, to get
        several answers.
        """
        run = self._runs.get(key)
        if run is None or run.begun or run.task.done() or (run.inboxes and not beside):
            run = self._runs[key] = Run(work)
            run.task.add_done_callback(lambda _: self._forget(key, run))
        inbox = run.join(journal)
        try:
            yield inbox
        finally:
            await self._leave(run, inbox)

    async def aclose(self) -> None:
        """End the runs that nobody came back for."""
        for run in list(self._runs.values()):
            await run.end()

    async def _leave(self, run: Run, inbox: Inbox) -> None:
        if inbox in run.inboxes:
            run.inboxes.remove(inbox)
        if run.inboxes:
            return
        if run.begun or run.task.done():
            await run.end()
        else:
            asyncio.get_running_loop().call_later(self._grace_s, self._give_up, run)

    def _give_up(self, run: Run) -> None:
        if not run.inboxes:
            run.task.cancel()

    def _forget(self, key: str, run: Run) -> None:
        if self._runs.get(key) is run:
            del self._runs[key]

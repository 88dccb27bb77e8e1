"""The HTTP server's life: says where it listens, and when told to stop, lets what runs come to an end first."""

from __future__ import annotations

import asyncio
import gc
import socket
import time
from functools import partial
from pathlib import Path
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from config.settings import ServerSettings, Settings
from retrievers.loading import loading_ended
from retrievers.types import BankStatus
from wire.intake import Intake
from wire.service import RouterService
from wire.slow_clients import PatientProtocol
from wire.welcome import show_welcome

# How long an answer that is broken off may take to tell its client so.
BREAK_OFF_S = 2.0

log = structlog.get_logger(__name__)


def uvicorn_config(app: FastAPI, server: ServerSettings) -> uvicorn.Config:
    """How uvicorn serves the application: with our own log lines, and with no patience for slow requests."""
    protocol = partial(PatientProtocol, head_timeout_s=server.head_timeout_s, body_timeout_s=server.body_timeout_s)
    return uvicorn.Config(
        app,
        http=protocol,  # type: ignore[arg-type]  # uvicorn only calls it
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )


class RouterServer(uvicorn.Server):
    """Shows the welcome panel once the port is open and the search for models has ended.

    The first signal closes the intake and gives running answers `server.shutdown_grace_s`; a second one, or the end of
    that time, has them told that they end here. No signal is raised again afterwards, as uvicorn does: a service that
    was asked to stop and did so ends with exit code 0.
    """

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        super().__init__(uvicorn_config(app, settings.server))
        self._app = app
        self._settings = settings
        self._intake: Intake = app.state.intake
        self._announcing: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._grace_ends: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        if self._grace_ends is not None:
            self.should_exit = True
            return
        self._intake.closed = True
        self._grace_ends = time.monotonic() + self._settings.server.shutdown_grace_s

    async def on_tick(self, counter: int) -> bool:
        if self._grace_ends is not None and (not self._intake.running or time.monotonic() >= self._grace_ends):
            return True
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announcing = asyncio.create_task(self._announce(), name="welcome")
            self._keeping = asyncio.create_task(self._keep_what_is_loaded(), name="keep-loaded")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        ending = {task for task in (*self.server_state.tasks, self._announcing, self._keeping) if task}
        for task in ending:
            task.cancel()
        if ending:
            log.info("stopping", broken_off=self._intake.running)
            await asyncio.wait(ending, timeout=BREAK_OFF_S)
        await super().shutdown(sockets)

    async def _keep_what_is_loaded(self) -> None:
        """Full collections pass over what stays anyway: to look at each object of the libraries takes 0.1 s or more,
        in which nobody is served.
        """
        gc.freeze()
        service: RouterService = self._app.state.service
        await loading_ended(service.embedder)
        gc.freeze()

    async def _announce(self) -> None:
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        service: RouterService = self._app.state.service
        # A bank is opened, and begun to be indexed, while the search for models goes on: the first chat finds it open.
        async with asyncio.TaskGroup() as looking:
            status = looking.create_task(service.models.settled())
            bank = looking.create_task(self._bank(service))
        show_welcome(self._settings, f"http://{shown}:{port}", status.result(), bank.result())

    async def _bank(self, service: RouterService) -> BankStatus | None:
        memory = self._settings.memory
        return await service.memory.status(memory.default_workspace or Path.cwd()) if memory.enabled else None

"""The real service on a free port of this event loop, over a scripted Ollama: real TCP on both sides.

    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path) as running:
        answer = await running.http.post("/v1/chat/completions", json=ask("Hello"))

Leaving it stops the service and fails where a task of the service's is still alive.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from sse_starlette.sse import AppStatus

from config.load import load_settings
from config.settings import Settings
from server import build_app
from tests.support.scripted_ollama import ScriptedOllama
from wire.request_id import random_id
from wire.service import RouterService
from wire.serving import uvicorn_config

MODEL = "cline-memory-router"
# An embedder that is just being loaded is waited for.
STOP_DEADLINE_S = 15.0
CHAT = "/v1/chat/completions"

Section = Mapping[str, object]


@dataclass(frozen=True)
class Running:
    """A service that answers; `http` is bound to it and closed with it."""

    ollama: ScriptedOllama
    app: FastAPI
    settings: Settings
    base_url: str
    http: httpx.AsyncClient

    @property
    def openai_url(self) -> str:
        return f"{self.base_url}/v1"

    @property
    def service(self) -> RouterService:
        service: RouterService = self.app.state.service
        return service

    async def chat(self, text: str = "hello", **more: Any) -> httpx.Response:
        """One question, read to its end; `headers` are sent as headers, everything else in the body."""
        headers = more.pop("headers", None)
        return await self.http.post(CHAT, json=ask(text, **more), headers=headers)


def ask(text: str = "hello", **more: Any) -> dict[str, Any]:
    """A body with one question of a person's; other fields replace or extend it."""
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}


def settings_for(ollama_url: str, folder: Path, api_key: str | None = None, /, **sections: Section) -> Settings:
    """The default settings over that Ollama, memory off; `sections` lie over them, e.g. `server={"heartbeat_s": 1}`.

    No model is preloaded, so that a test sees its own calls only: `backend={"preload": ["memory_fast"]}`.
    No arbiter, which would take replies that are scripted for answers: `models={"routing": {"arbiter": True}}`.
    """
    environment = {"OLLAMA_BASE_URL": ollama_url, "VECTOR_STORE_PATH": str(folder / "vector_stores")}
    values = load_settings(environment=environment).model_dump()
    values["backend"] |= {"kind": "ollama", "probe_timeout_s": 10, "connect_timeout_s": 10, "preload": []}
    values["backend"] |= {"retry_wait_s": 0.001}
    values["server"] |= {"shutdown_grace_s": 1}
    values["memory"] |= {"enabled": False}
    values["models"]["routing"] |= {"arbiter": False}
    values["api_key"] = api_key
    for name, section in sections.items():
        values[name] |= section
    return Settings.model_validate(values)


@asynccontextmanager
async def running_service(
    ollama: ScriptedOllama,
    folder: Path,
    api_key: str | None = None,
    new_id: Callable[[], str] = random_id,
    now: Callable[[], float] = time.time,
    /,
    **sections: Section,
) -> AsyncIterator[Running]:
    """Start the service over `ollama`, wait until it knows its models, stop it again."""
    settings = settings_for(ollama.base_url, folder, api_key, **sections)
    app = build_app(settings, new_id=new_id, now=now)
    tasks_before = asyncio.all_tasks()
    async with _serving(app, settings) as port:
        base_url = f"http://127.0.0.1:{port}"
        # There is no TLS here, and reading the certificates takes longer than most tests.
        plain = httpx.AsyncHTTPTransport(verify=False)
        async with httpx.AsyncClient(base_url=base_url, timeout=15, trust_env=False, transport=plain) as http:
            running = Running(ollama, app, settings, base_url, http)
            await running.service.models.settled()
            yield running
    await _no_tasks_but(tasks_before)


class _Server(uvicorn.Server):
    """Leaves the process's signal handlers alone, and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@asynccontextmanager
async def _serving(app: FastAPI, settings: Settings) -> AsyncIterator[int]:
    # It is kept for the process, and bound to the loop of whichever test streamed from LangServe first.
    AppStatus.should_exit_event = None
    listener = socket.create_server(("127.0.0.1", 0))
    server = _Server(uvicorn_config(app, settings.server))
    serving = asyncio.create_task(server.serve([listener]), name="uvicorn")
    try:
        await server.listening.wait()
        assert server.started, "the service did not start; its log says why"
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        await asyncio.wait_for(serving, STOP_DEADLINE_S + 10)
        listener.close()


async def eventually(holds: Callable[[], bool], what: str, deadline_s: float = 2.0) -> None:
    """Poll for what nothing announces: the finalisers of a closed generator, a queue's length."""
    ends = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < ends, f"waited {deadline_s} s for {what}"
        await asyncio.sleep(0.005)


def _is_store_batcher(task: asyncio.Task[Any]) -> bool:
    """LangGraph's own task of a store; it ends when the store is garbage."""
    return "langgraph/store/base/batch.py" in repr(task)


async def _no_tasks_but(before: set[asyncio.Task[Any]]) -> None:
    def left() -> set[asyncio.Task[Any]]:
        now = asyncio.all_tasks() - before - {asyncio.current_task()}
        return {task for task in now if not _is_store_batcher(task)}

    try:
        await eventually(lambda: not left(), "the service's tasks to end", STOP_DEADLINE_S)
    except AssertionError:
        raise AssertionError(f"tasks left behind: {sorted(repr(task) for task in left())}") from None

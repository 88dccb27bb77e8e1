"""The composition root: reads the settings, puts the parts together, serves them."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib import metadata

if __name__ == "__main__":
    # The imports below take a second or two: a stop meanwhile is one in good order, and there is nothing to collect.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    gc.disable()

import langsmith
import structlog
from fastapi import FastAPI

from backends.service import ModelService
from chains.classifier import Classifier
from chains.counting import count_text, warm_up
from chains.decide import Router
from chains.seconds import Speed
from config.load import load_settings
from config.schema import ROLES, RoleSettings
from config.settings import Settings
from graphs.deps import Arbiter, Deps, Retries
from graphs.router import build_router_graph
from graphs.session_store import open_session_store
from graphs.sessions import Sessions
from graphs.speeds import SPEEDS_FILE, Speeds
from retrievers.embeddings import LocalEmbedder
from retrievers.layouts import bank_folders
from retrievers.memory import MemoryService
from retrievers.ollama_embeddings import OllamaEmbedder
from retrievers.stores.choice import choose_store
from retrievers.types import Embedder
from wire.allocator import share_one_arena
from wire.app import create_app
from wire.listening import is_loopback, listen
from wire.logs import set_up_logging
from wire.request_id import random_id
from wire.service import RouterService
from wire.serving import RouterServer
from wire.terminal.commands import build_terminal
from wire.terminal.parts import Parts

EMBEDDING_THREADS = 1
# More only wait for the interpreter, and each waiting thread takes it from the event loop time and again.
SESSION_THREADS = 2
# Importing torch holds the interpreter for seconds; the panel and a first request, which reads a bank, come before it.
QUIET_S = 2.0

NewId = Callable[[], str]
Clock = Callable[[], float]

log = structlog.get_logger(__name__)


def package_version() -> str:
    """The installed version, or `0.1.0.dev0` in a plain checkout."""
    try:
        return metadata.version("cline-memory-router")
    except metadata.PackageNotFoundError:
        return "0.1.0.dev0"


@asynccontextmanager
async def open_router(
    settings: Settings, *, new_id: NewId = random_id, now: Clock = time.time, quiet_s: float = 0.0
) -> AsyncIterator[RouterService]:
    """Open everything a run of the graph needs, and close it again. What the service, notebooks and scripts use.

    Ids and the time of day, in Unix seconds, may be given, so that the same requests get the same bytes. The embedder
    begins to load `quiet_s` after everything is open.
    """
    # Nothing leaves the machine, also where the user's shell has LangSmith's tracing switched on for other work.
    langsmith.configure(enabled=False)
    roles = settings.models.roles
    embedder = _embedder(settings, quiet_s)
    async with AsyncExitStack() as stack:
        speeds = Speeds(
            {role: _speed(roles[role]) for role in ROLES},
            {role: roles[role].model for role in ROLES},
            settings.paths.vector_store_path / SPEEDS_FILE,
        )
        await speeds.load()
        stack.push_async_callback(speeds.save, now=True)
        models = await stack.enter_async_context(
            ModelService(settings.backend, settings.models, load_s=lambda role: speeds.rates.speed(role).load_s)
        )
        memory = await _open_memory(settings, embedder, stack)
        embedding_threads = ThreadPoolExecutor(EMBEDDING_THREADS, "embed-for-clients")
        stack.push_async_callback(asyncio.to_thread, embedding_threads.shutdown, cancel_futures=True)
        sessions, note = await _open_sessions(settings, stack)
        warming = asyncio.create_task(asyncio.to_thread(warm_up), name="load-tokenizer")
        stack.push_async_callback(asyncio.wait, {warming})
        router = Router(
            routing=settings.models.routing,
            fallbacks={role: roles[role].fallbacks for role in ROLES},
            model_names={role: roles[role].model for role in ROLES},
            automatic_names=frozenset({settings.server.model_id, *settings.server.model_aliases}),
            classifier=await _load_classifier(),
        )
        routing = settings.models.routing
        deps = Deps(
            models=models,
            router=router,
            memory=memory,
            memory_settings=settings.memory,
            sessions=sessions,
            speeds=speeds,
            new_id=lambda: f"call_{new_id()}",
            embedder=embedder if settings.memory.embedder == "local" else None,
            arbiter=Arbiter({role: roles[role].job for role in ROLES}, routing.arbiter_timeout_s)
            if routing.arbiter
            else None,
            retries=Retries(settings.backend.retries, settings.backend.retry_wait_s),
        )
        if settings.memory.enabled:
            embedder.start_loading()
        yield RouterService(
            settings,
            build_router_graph(),
            deps,
            models,
            memory,
            embedder,
            embedding_threads,
            package_version(),
            note,
            now,
        )


@asynccontextmanager
async def open_memory(settings: Settings) -> AsyncIterator[MemoryService]:
    """Memory banks alone, without models."""
    embedder = _embedder(settings)
    async with AsyncExitStack() as stack:
        memory = await _open_memory(settings, embedder, stack)
        if settings.memory.enabled:
            embedder.start_loading()
        yield memory


@asynccontextmanager
async def open_sessions(settings: Settings) -> AsyncIterator[Sessions]:
    """The records of conversations alone."""
    async with AsyncExitStack() as stack:
        sessions, _ = await _open_sessions(settings, stack)
        yield sessions


async def _open_memory(settings: Settings, embedder: Embedder, stack: AsyncExitStack) -> MemoryService:
    memory = settings.memory
    service = MemoryService(
        vector_store_path=settings.paths.vector_store_path,
        embedder=embedder,
        count_tokens=count_text,
        workspace_roots=memory.workspace_roots,
        folders=bank_folders(memory.folders),
        ranked_tokens=memory.ranked_tokens,
        whole_bank_tokens=memory.whole_bank_tokens,
        max_files=memory.max_files,
        max_file_bytes=memory.max_file_bytes,
        max_bank_bytes=memory.max_bank_bytes,
        open_store=choose_store(memory, settings.qdrant_api_key),
    )
    stack.push_async_callback(service.aclose)
    return service


async def _open_sessions(settings: Settings, stack: AsyncExitStack) -> tuple[Sessions, str | None]:
    """The records, and why nothing is remembered where that was wanted."""
    sessions, store, note = settings.sessions, None, None
    if sessions.enabled:
        folder = settings.paths.vector_store_path
        store, note = await open_session_store(folder, stack, expiry_days=sessions.expiry_days)
    threads = ThreadPoolExecutor(SESSION_THREADS, "look-up")
    stack.push_async_callback(asyncio.to_thread, threads.shutdown)  # before the store is closed
    return Sessions(store, sessions.max_records, threads), note


def _embedder(settings: Settings, quiet_s: float = 0.0) -> Embedder:
    memory = settings.memory
    if memory.embedder == "local":
        return LocalEmbedder(model_dir=settings.paths.model_cache_dir, quiet_s=quiet_s)
    return OllamaEmbedder(
        base_url=settings.backend.base_url, model=memory.ollama_embedding_model, keep_alive=memory.ollama_keep_alive
    )


def _speed(role: RoleSettings) -> Speed:
    return Speed(role.load_s, role.prefill_tokens_per_s, role.answer_tokens_per_s)


async def _load_classifier() -> Classifier | None:
    """The trained classifier; without its data, rules and defaults decide."""
    try:
        return await asyncio.to_thread(Classifier.load)
    except (OSError, ValueError, KeyError) as error:
        log.warning("requests are routed by rules only", reason=f"no classifier ({type(error).__name__})")
        return None


def build_app(settings: Settings, *, new_id: NewId = random_id, now: Clock = time.time) -> FastAPI:
    """The application for these settings; nothing is opened before its lifespan starts."""
    open_service = partial(open_router, settings, new_id=new_id, now=now, quiet_s=QUIET_S)
    return create_app(open_service, settings, version=package_version(), new_id=new_id)


def build_default_app() -> FastAPI:
    """For `uvicorn --factory server:build_default_app`: the settings of the files and the environment."""
    share_one_arena()
    settings = load_settings()
    set_up_logging(settings.logging)
    return build_app(settings)


def serve(settings: Settings) -> None:
    """Serve until stopped; raises `ConfigError` where the configuration cannot be served."""
    share_one_arena()
    choose_store(settings.memory, settings.qdrant_api_key)
    listening = listen(settings)
    set_up_logging(settings.logging)
    if not is_loopback(listening.getsockname()[0]):
        log.warning("whoever has the key can use the service from other machines; the way there is not encrypted")
    RouterServer(build_app(settings), settings).run(sockets=[listening])


def _serve_and_leave(settings: Settings) -> None:
    """`serve`, then end without the interpreter's and the native libraries' own way of ending.

    All that is ours is closed and written by then. Their threads (torch's, tokenizers', an import that still runs) are
    not: the interpreter would wait for them or, where one comes back to it too late, abort with exit code -6.
    """
    serve(settings)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def main() -> None:
    """The command line: `python server.py --help`."""
    build_terminal(Parts(package_version(), load_settings, _serve_and_leave, open_router, open_memory, open_sessions))()


if __name__ == "__main__":
    gc.freeze()
    gc.enable()
    main()

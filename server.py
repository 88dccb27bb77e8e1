"""The composition root: reads the settings, puts the parts together, serves them."""

from __future__ import annotations

import asyncio
import socket
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import metadata
from ipaddress import ip_address

import langsmith
import structlog
from fastapi import FastAPI

from backends.service import ModelService
from chains.classifier import Classifier
from chains.counting import count_text, warm_up
from chains.decide import Router
from chains.seconds import Speed
from config.errors import ConfigError
from config.load import load_settings
from config.schema import ROLES, RoleSettings, Settings
from graphs.deps import Arbiter, Deps
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
from wire.app import create_app
from wire.logs import set_up_logging
from wire.service import RouterService
from wire.serving import RouterServer

EXIT_BAD_CONFIG = 2
SETTLE_STEP_S = 0.05
SETTLE_STEPS = 200

log = structlog.get_logger(__name__)


def package_version() -> str:
    """The installed version, or `0.1.0.dev0` in a plain checkout."""
    try:
        return metadata.version("cline-memory-router")
    except metadata.PackageNotFoundError:
        return "0.1.0.dev0"


@asynccontextmanager
async def open_router(settings: Settings) -> AsyncIterator[RouterService]:
    """Open everything a run of the graph needs, and close it again. What the service, notebooks and scripts use."""
    # Nothing leaves the machine, also where the user's shell has LangSmith's tracing switched on for other work.
    langsmith.configure(enabled=False)
    roles, memory_settings = settings.models.roles, settings.memory
    embedder = _embedder(settings)
    async with AsyncExitStack() as stack:
        folder, sessions = settings.paths.vector_store_path, settings.sessions
        speeds = Speeds(
            {role: _speed(roles[role]) for role in ROLES},
            {role: roles[role].model for role in ROLES},
            folder / SPEEDS_FILE,
        )
        await speeds.load()
        stack.push_async_callback(speeds.save, now=True)
        models = await stack.enter_async_context(
            ModelService(settings.backend, settings.models, load_s=lambda role: speeds.rates.speed(role).load_s)
        )
        memory = MemoryService(
            vector_store_path=settings.paths.vector_store_path,
            embedder=embedder,
            count_tokens=count_text,
            workspace_roots=memory_settings.workspace_roots,
            folders=bank_folders(memory_settings.folders),
            ranked_tokens=memory_settings.ranked_tokens,
            whole_bank_tokens=memory_settings.whole_bank_tokens,
            max_files=memory_settings.max_files,
            max_file_bytes=memory_settings.max_file_bytes,
            max_bank_bytes=memory_settings.max_bank_bytes,
            open_store=choose_store(memory_settings, settings.qdrant_api_key),
        )
        stack.push_async_callback(memory.aclose)
        if memory_settings.enabled:
            embedder.start_loading()
            stack.push_async_callback(_settled, embedder)
        store, note = None, None
        if sessions.enabled:
            store, note = await open_session_store(folder, stack, expiry_days=sessions.expiry_days)
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
            memory_settings=memory_settings,
            sessions=Sessions(store, sessions.max_records),
            speeds=speeds,
            new_id=lambda: f"call_{uuid.uuid4().hex[:24]}",
            embedder=embedder if memory_settings.embedder == "local" else None,
            arbiter=Arbiter({role: roles[role].job for role in ROLES}, routing.arbiter_timeout_s)
            if routing.arbiter
            else None,
        )
        yield RouterService(settings, build_router_graph(), deps, models, memory, embedder, package_version(), note)


def _embedder(settings: Settings) -> Embedder:
    memory = settings.memory
    if memory.embedder == "local":
        return LocalEmbedder(model_dir=settings.paths.model_cache_dir)
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


async def _settled(embedder: Embedder) -> None:
    """Native libraries that are just being loaded abort the process if it ends meanwhile."""
    for _ in range(SETTLE_STEPS):
        if embedder.status().state != "loading":
            return
        await asyncio.sleep(SETTLE_STEP_S)


def build_app(settings: Settings) -> FastAPI:
    """The application for these settings; nothing is opened before its lifespan starts."""
    return create_app(lambda: open_router(settings), settings, version=package_version())


def build_default_app() -> FastAPI:
    """For `uvicorn --factory server:build_default_app`: the settings of the files and the environment."""
    settings = load_settings()
    set_up_logging(settings.logging)
    return build_app(settings)


def _listen(settings: Settings) -> socket.socket:
    """The listening socket; raises `ConfigError` where host or port cannot be had, or would be open to everybody."""
    server = settings.server
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            server.host, server.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        if settings.api_key is None and not ip_address(str(address[0]).partition("%")[0]).is_loopback:
            raise ConfigError(
                f"Other machines could use models and read memory banks through {server.host} ({address[0]}) without a "
                "key: set API_KEY to a secret of yours, or HOST=127.0.0.1."
            )
        listening = socket.socket(family, kind, protocol)
        if sys.platform != "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise ConfigError(
            f"Cannot listen on {server.host} port {server.port} ({error.strerror}): stop what listens there, or choose "
            f"another with PORT={server.port + 1}."
        ) from error
    return listening


def main() -> None:
    """Serve until stopped, which is exit code 0; 2 for a wrong configuration."""
    try:
        settings = load_settings()
        choose_store(settings.memory, settings.qdrant_api_key)
        listening = _listen(settings)
    except ConfigError as error:
        print(error.message, file=sys.stderr)  # noqa: T201 - before logging is set up
        sys.exit(EXIT_BAD_CONFIG)
    set_up_logging(settings.logging)
    if not ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback:
        log.warning("whoever has the key can use the service from other machines; the way there is not encrypted")
    RouterServer(build_app(settings), settings).run(sockets=[listening])


if __name__ == "__main__":
    main()

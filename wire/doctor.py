"""`make doctor`: everything that the service stands on, looked at without starting it; what is wrong, and the fix."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from backends.examination import examine_models
from backends.findings import Finding
from backends.ollama_settings import OllamaSettings
from config.errors import ConfigError, MemoryUnavailable
from config.settings import Settings
from retrievers.memory import MemoryService
from retrievers.stores.choice import choose_store
from retrievers.types import Embedder
from wire.cline_settings import cline_settings

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to be told, not bound
BANK_FIX = "make a folder memory-bank with projectbrief.md and activeContext.md, or name yours in memory.folders"


async def examine(settings: Settings, memory: MemoryService, own: OllamaSettings, workspace: Path) -> list[Finding]:
    """All findings, in the order in which things are best mended; `own` are Ollama's."""
    models = await examine_models(settings.backend, settings.models, own)
    host = ANY_ADDRESS.get(settings.server.host, settings.server.host)
    base_url = f"http://{f'[{host}]' if ':' in host else host}:{settings.server.port}"
    return [
        *models.findings,
        *await asyncio.to_thread(lambda: list(_stores(settings))),
        *(await _memory(settings, memory, workspace)),
        *(
            Finding("Cline", "ok", f"{name}: {value}")
            for name, value in cline_settings(settings, base_url, models.models).items()
        ),
    ]


def wrong_configuration(error: ConfigError) -> list[Finding]:
    """One finding for each line of the error; nothing else can be looked at."""
    return [Finding("configuration", "error", line) for line in error.message.splitlines()]


async def _memory(settings: Settings, memory: MemoryService, workspace: Path) -> list[Finding]:
    if not settings.memory.enabled:
        return [Finding("memory bank", "ok", "switched off (memory.enabled)")]
    found = [await asyncio.to_thread(_embedder, memory.embedder)] if memory.embedder else []
    return [*found, await _bank(memory, workspace)]


def _embedder(embedder: Embedder) -> Finding:
    started = time.perf_counter()
    try:
        vector = embedder.embed_query("Is it there?")
    except MemoryUnavailable as error:
        message, _, fix = error.message.rstrip(".").partition(": ")
        told = f"{message}; without it, large memory banks are ranked by words only"
        return Finding("embedder", "warning", told, fix or None)
    took = f"{len(vector)} dimensions, ready after {time.perf_counter() - started:.1f} s"
    return Finding("embedder", "ok", f"{embedder.name}: {took}")


def _stores(settings: Settings) -> Iterator[Finding]:
    folder, store = settings.paths.vector_store_path, settings.memory.store
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="doctor-", dir=folder) as trial:
            yield Finding("stores", "ok", f"{folder.absolute()} can be written")
            choose_store(settings.memory, settings.qdrant_api_key)(Path(trial) / "index", "doctor", 1).load()
            yield Finding("stores", "ok", f"{store} can be opened")
    except MemoryUnavailable as error:
        message, _, fix = error.message.rstrip(".").partition(": ")
        yield Finding("stores", "error", message, fix or "set memory.store to faiss")
    except OSError as error:
        told = f"{folder.absolute()} cannot be written ({error.strerror}): nothing is remembered of conversations"
        yield Finding("stores", "error", told, "make it writable, or set VECTOR_STORE_PATH to a folder that is")


async def _bank(memory: MemoryService, workspace: Path) -> Finding:
    report = await memory.report(workspace)
    status, staleness = report.status, report.staleness
    if status.root is None:
        note = (status.note or "None was found").rstrip(".")
        fix = f"{BANK_FIX}; --workspace looks elsewhere"
        return Finding("memory bank", "warning", f"{workspace}: {note}", fix)
    told = f"{status.root}: {status.files} files, {status.size_bytes} bytes"
    if staleness is None:
        return Finding("memory bank", "ok", told)
    told = f"{told}; {staleness.reason}"
    if staleness.verdict == "stale":
        return Finding("memory bank", "warning", told, "ask Cline to `update memory bank`")
    return Finding("memory bank", "ok", told)

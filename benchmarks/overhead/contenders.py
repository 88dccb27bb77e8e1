"""Who is measured, how each is started and how long that takes, and what it costs: CPU time, resident memory."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from benchmarks.overhead.bodies import MODEL, http
from benchmarks.overhead.load import Refused, connected

ROOT = Path(__file__).parents[2]
PEERS = ROOT / "benchmarks" / "peers"
RESULTS = ROOT / "benchmarks" / "results"
CHAT = "/v1/chat/completions"
START_WITHIN_S = 120.0
INDEX_WITHIN_S = 600.0
STOP_WITHIN_S = 20.0
POLL_EVERY_S = 0.02
BYTES_PER_MB = 1_000_000
LAST_WORDS_CHARS = 400
CRASH, CRASHED_THREAD = "Fatal Python error: ", "Current thread "  # as Python's faulthandler writes
_FOLDER = re.compile(r'(?<=File ")\S*/')
ENDS_WITHIN_S = 1.0  # once its connections broke
NAMES = ("straight", "passthrough", "ours", "ours_no_memory", "litellm", "langgraph_openai_serve")
# A place for each client at once, so that nobody stands in our own queue while others have none.
CALLS_PER_MODEL = 64
MOST_TOOLS = 10_000  # what growth is measured to


class Missing(Exception):
    """A contender that cannot run here, with the reason."""


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from a process's start to the first chat that was taken, and to the end of its answer."""

    accepted_s: float
    answered_s: float


@dataclass(frozen=True, slots=True)
class Contender:
    """A running contender and how it is asked."""

    name: str
    port: int
    process: psutil.Popen
    start: Start
    log: Path
    path: str = CHAT

    def how_it_ended(self) -> str | None:
        """Its exit code, and where it crashed or what it last said; None where it runs on."""
        try:
            code = self.process.wait(ENDS_WITHIN_S)
        except psutil.TimeoutExpired:
            return None
        said = _FOLDER.sub("", self.log.read_text(encoding="utf-8", errors="replace"))
        _, crashed, crash = said.partition(CRASH)
        where = crash.partition(CRASHED_THREAD)[2][:LAST_WORDS_CHARS]
        told = f"{crash.splitlines()[0]} in {where}" if crashed else said[-LAST_WORDS_CHARS:]
        return f"it ended by itself, with {code}: {' '.join(told.split()) or 'it said nothing'}"

    def cpu_s(self) -> float:
        """User and system time so far, with that of its children."""
        return sum(sum(each.cpu_times()[:2]) for each in self._processes())

    def rss_mb(self) -> float:
        """Resident memory now, with that of its children."""
        return sum(float(each.memory_info().rss) for each in self._processes()) / BYTES_PER_MB

    def _processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@asynccontextmanager
async def running(name: str, upstream: Contender | None, folder: Path) -> AsyncIterator[Contender]:
    """Start a contender in `folder` and end it; raises `Missing` where it is not installed."""
    port = _free_port()
    command = _command(name, port, upstream, folder)
    environment = _environment(name, port, upstream, folder)
    path = "/api/chat" if name == "straight" else CHAT
    log = folder / f"{name}.log"
    with log.open("wb") as written:
        started = time.perf_counter()
        process = psutil.Popen(command, env=environment, cwd=folder, stdout=written, stderr=written)
    try:
        start = await _first_answer(port, path, process, started)
        yield Contender(name, port, process, start, log, path)
    finally:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()


def _command(name: str, port: int, upstream: Contender | None, folder: Path) -> list[str]:
    uvicorn = ["-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning", "--no-access-log"]
    if name == "straight":
        return [sys.executable, "-m", "benchmarks.overhead.upstream", str(port)]
    assert upstream is not None  # noqa: S101 - the others are started behind it
    if name == "passthrough":
        return [sys.executable, *uvicorn, "benchmarks.peers.passthrough:app"]
    if name in {"ours", "ours_no_memory"}:
        _configure(folder, memory=name == "ours")
        return [sys.executable, str(ROOT / "server.py")]
    binaries = PEERS / ".venvs" / name / "bin"
    if not (binaries / "python").exists():
        raise Missing(f"{name} is not installed: `make bench-peers`.")
    if name == "langgraph_openai_serve":
        return [str(binaries / "python"), *uvicorn, "benchmarks.peers.graph_behind_openai_serve:app"]
    served = {"model": "ollama_chat/qwen2.5-coder:32b", "api_base": f"http://127.0.0.1:{upstream.port}"}
    config = folder / "litellm.yaml"
    config.write_text(yaml.safe_dump({"model_list": [{"model_name": MODEL, "litellm_params": served}]}))
    return [str(binaries / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]


def _environment(name: str, port: int, upstream: Contender | None, folder: Path) -> dict[str, str]:
    values = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"}
    # What is not installed is compiled at its first start, as for anybody, and not at each.
    values.pop("PYTHONDONTWRITEBYTECODE", None)
    if upstream is not None:
        values["OLLAMA_BASE_URL"] = f"http://127.0.0.1:{upstream.port}"
    if name.startswith("ours"):
        values |= {"PORT": str(port), "ROUTER_CONFIG_DIR": str(folder), "VECTOR_STORE_PATH": str(folder / "vectors")}
    if name == "litellm":
        values |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False"}
        values["LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"] = "true"  # loopback, and nothing behind it
    return values


def _configure(folder: Path, *, memory: bool) -> None:
    """The shipped settings, but for room for every client and tool and, where it is wanted, the bank in `folder`."""
    shipped = ROOT / "config"
    (folder / "models.yaml").write_text((shipped / "models.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    values: dict[str, Any] = yaml.safe_load((shipped / "server_config.yaml").read_text(encoding="utf-8"))
    values["backend"] |= {"kind": "ollama", "calls_per_model": CALLS_PER_MODEL}
    values["server"] |= {"max_tools": MOST_TOOLS}
    values["memory"] |= {"enabled": memory, "default_workspace": str(folder)}
    (folder / "server_config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


async def _first_answer(port: int, path: str, process: psutil.Popen, started: float) -> Start:
    """The first chat that was answered; asked again until one is."""
    request = http(
        b'{"model":"%b","messages":[{"role":"user","content":"hello"}]}' % MODEL.encode(), path=path, port=port
    )
    error: Exception | None = None
    while time.perf_counter() - started < START_WITHIN_S:
        if process.poll() is not None:
            raise Missing(f"It ended with {process.returncode} at its start.")
        try:
            async with connected(port) as (client,):
                accepted_s = time.perf_counter() - started
                await client.ask(request)
                return Start(accepted_s, time.perf_counter() - started)
        except (OSError, Refused) as caught:
            error = caught
        await asyncio.sleep(POLL_EVERY_S)
    raise Missing(f"It gave no answer within {START_WITHIN_S:.0f} s ({error}).")


async def bank_indexed(port: int, workspace: Path) -> None:
    """Wait until the bank's passages have their vectors; raises `Missing` where that takes too long."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
        deadline = time.monotonic() + INDEX_WITHIN_S
        while time.monotonic() < deadline:
            answer = await client.get("/memory/status", params={"workspace": str(workspace)})
            if answer.json().get("bank", {}).get("vectors_ready"):
                return
            await asyncio.sleep(0.2)
    raise Missing(f"Its memory bank was not indexed within {INDEX_WITHIN_S:.0f} s.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

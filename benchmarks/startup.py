"""How long a start takes and what it weighs: `python -m benchmarks.startup [--runs N]` prints one JSON object.

Each run starts `server.py` as a user would, with no Ollama, and measures seconds from the process's start to the first
answered request, to a model that can answer, and to the embedder; then the resident memory of the service and of the
embedded backend's process, in MB.

Then, over the scripted Ollama of `benchmarks.overhead`: seconds to the first accepted chat, to the end of its answer
and to the vectors of a bank of 300 passages, `without_memory`, with a `new_bank`, and with the `known_bank` of the
start before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil

from benchmarks.overhead.bodies import BANK_PASSAGES, write_bank
from benchmarks.overhead.contenders import bank_indexed, running

ROOT = Path(__file__).parents[1]
POLL_EVERY_S = 0.02
GIVE_UP_AFTER_S = 120.0
STOP_WITHIN_S = 20.0
BYTES_PER_MB = 1_000_000
CASES = (("without_memory", "ours_no_memory"), ("new_bank", "ours"), ("known_bank", "ours"))


def measure_once() -> dict[str, float]:
    """One start without Ollama, on a free port, with an index folder of its own."""
    port, nobody = _free_port(), _free_port()
    with tempfile.TemporaryDirectory() as folder, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        environment = {
            **os.environ,
            "PORT": str(port),
            "OLLAMA_BASE_URL": f"http://127.0.0.1:{nobody}",
            "VECTOR_STORE_PATH": folder,
        }
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "server.py")],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            figures = {
                "first_accepted_s": _seconds_until(started, lambda: client.get("/health/live").is_success),
                "model_ready_s": _seconds_until(started, lambda: client.get("/health/ready").is_success),
                "embedder_ready_s": _seconds_until(started, lambda: _embedder(client) == "ready"),
            }
            service = psutil.Process(process.pid)
            figures["service_rss_mb"] = service.memory_info().rss / BYTES_PER_MB
            figures["embedded_rss_mb"] = sum(child.memory_info().rss for child in service.children()) / BYTES_PER_MB
            return figures
        finally:
            process.terminate()
            process.wait(STOP_WITHIN_S)


async def measure_cases(folder: Path) -> dict[str, float]:
    """One start of each case, by `case.figure`."""
    figures: dict[str, float] = {}
    async with running("straight", None, folder) as ollama:
        for case, name in CASES:
            workspace = folder / name
            if not workspace.exists():
                write_bank(workspace, BANK_PASSAGES)
            async with running(name, ollama, workspace) as service:
                figures[f"{case}.accepted_s"] = service.start.accepted_s
                figures[f"{case}.answered_s"] = service.start.answered_s
                if name == "ours":
                    await bank_indexed(service.port, workspace)
                    figures[f"{case}.vectors_ready_s"] = time.time() - service.process.create_time()
    return figures


def _run() -> dict[str, float]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return measure_once() | asyncio.run(measure_cases(Path(folder).resolve()))


def _embedder(client: httpx.Client) -> Any:
    return client.get("/health").json()["embedder"]["state"]


def _seconds_until(started: float, reached: Callable[[], bool]) -> float:
    while time.perf_counter() - started < GIVE_UP_AFTER_S:
        with suppress(httpx.TransportError):
            if reached():
                return time.perf_counter() - started
        time.sleep(POLL_EVERY_S)
    raise TimeoutError(f"not reached within {GIVE_UP_AFTER_S} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    """Print medians and the single runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = [_run() for _ in range(parser.parse_args().runs)]
    medians = {name: round(median(run[name] for run in runs), 2) for name in runs[0]}
    print(json.dumps({"python": sys.version.split()[0], "median": medians, "runs": runs}, indent=1))


if __name__ == "__main__":
    main()

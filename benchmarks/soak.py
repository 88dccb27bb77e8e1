"""Many clients at once, with faults: `python -m benchmarks.soak --seconds N --clients M` prints one JSON object.

The service runs as its own process over a scripted Ollama that answers every request with words of its own, so that a
mixed-up answer is seen. Calls are streamed and whole, for all models; some clients hang up, some calls fail first or
break off. At the end: `lost` (no answer where there should have been one), `wrong` (another's, an altered one, or a
broken one that looks whole), `hung` (none in a minute), tasks and sockets of the service that are left when all is
quiet, how much its memory grew, and the seconds of undisturbed answers. A warm-up comes first (`warm_up_s`, beside the
`--seconds`), of which nothing counts. Memory is what the service's process holds resident, and grew from the median of
the first tenth of the run after the warm-up to that of its last tenth (`memory_mb`). The exit code is 1 if any of the
first five is not zero, or memory grew by more than 2 % in ten minutes or longer: in less it has not come to rest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import Any

import httpx
import psutil

from backends.http_transport import IDLE_S
from benchmarks.soak_calls import HUNG_AFTER_S, Call, Echo, Verdict, make
from tests.support.process import config_dir, panel_of, serving, stop, url_in
from tests.support.scripted_ollama import ScriptedOllama

MEBIBYTE = 1024 * 1024
WARM_UP_SHARE = 0.25
MOST_WARM_UP_S = 60.0
SAMPLE_EVERY_S = 1.0
# By then the model server's connections that nobody used are old enough to be closed.
QUIET_S = IDLE_S + 1
MOST_QUIET_S = 40.0
MOST_GROWTH_PCT = 2.0
GROWTH_TELLS_AFTER_S = 600.0
_TASKS = re.compile(r"^router_running_tasks (\S+)$", re.MULTILINE)
CONFIG: dict[str, dict[str, Any]] = {
    "backend": {
        "kind": "ollama",
        "max_waiting_calls": 10_000,
        "idle_timeout_s": 1,
        "retry_wait_s": 0.05,
        "breaker_failures": 1000,
    },
    "memory": {"enabled": False},
    "logging": {"level": "error"},
}


@dataclass
class Tally:
    """What came of the calls so far; `took_s` of undisturbed ones."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)


async def soak(seconds: float, clients: int, seed: int) -> dict[str, float]:
    """One run; the figures as they are printed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with ScriptedOllama() as ollama:
            ollama.default(Echo())
            variables = {"OLLAMA_BASE_URL": ollama.base_url, "ROUTER_CONFIG_DIR": config_dir(folder, **CONFIG)}
            with serving(folder, **variables) as process:
                base_url = url_in(await asyncio.to_thread(panel_of, process))
                try:
                    return await _measured(psutil.Process(process.pid), base_url, seconds, clients, seed)
                finally:
                    await asyncio.to_thread(stop, process)


async def _measured(
    service: psutil.Process, base_url: str, seconds: float, clients: int, seed: int
) -> dict[str, float]:
    tally, memory = Tally(), list[float]()
    warm_up_s = min(MOST_WARM_UP_S, seconds * WARM_UP_SHARE)
    await _run(base_url, Tally(), clients, warm_up_s, seed)
    tasks, sockets = await _left(service, base_url)
    sampling = asyncio.create_task(_sample(service, memory))
    await _run(base_url, tally, clients, seconds, seed + 1)
    sampling.cancel()
    await asyncio.wait({sampling})
    tasks_left, sockets_left = await _settled(service, base_url, tasks, sockets)
    before, after = _first_and_last(memory)
    cuts = quantiles(tally.took_s, n=20) if len(tally.took_s) > 1 else [0.0] * 19
    return {
        "lost": tally.verdicts["lost"],
        "wrong": tally.verdicts["wrong"],
        "hung": tally.verdicts["hung"],
        "leaked_tasks": max(0, tasks_left - tasks),
        "leaked_sockets": max(0, sockets_left - sockets),
        "memory_growth_pct": round(100 * (after / before - 1), 2),
        "p50_ms": round(1000 * cuts[9], 1),
        "p95_ms": round(1000 * cuts[18], 1),
        "requests": tally.verdicts.total(),
        "warm_up_s": warm_up_s,
        "memory_mb": round(after, 1),
    }


async def _run(base_url: str, tally: Tally, clients: int, seconds: float, seed: int) -> None:
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(_client(base_url, tally, until, Random(f"{seed}-{number}")))  # noqa: S311 - a draw that can be repeated


async def _client(base_url: str, tally: Tally, until: float, draw: Random) -> None:
    transport = httpx.AsyncHTTPTransport(verify=False)  # reading certificates takes long, and there is no TLS
    async with httpx.AsyncClient(
        base_url=base_url, timeout=HUNG_AFTER_S, trust_env=False, transport=transport
    ) as client:
        while time.monotonic() < until:
            call = Call.random(draw)
            started = time.perf_counter()
            verdict = await make(call, client)
            tally.verdicts[verdict] += 1
            if verdict == "fine" and call.fault == "none" and call.way in {"streamed", "whole"}:
                tally.took_s.append(time.perf_counter() - started)


async def _sample(service: psutil.Process, memory: list[float]) -> None:
    while True:
        memory.append(service.memory_info().rss / MEBIBYTE)
        await asyncio.sleep(SAMPLE_EVERY_S)


def _first_and_last(memory: list[float]) -> tuple[float, float]:
    """The medians of the first and the last tenth of the samples."""
    share = max(1, len(memory) // 10)
    return median(memory[:share]), median(memory[-share:])


async def _left(service: psutil.Process, base_url: str) -> tuple[int, int]:
    """Tasks and connected sockets once all has been quiet for a while."""
    await asyncio.sleep(QUIET_S)
    async with httpx.AsyncClient(base_url=base_url, trust_env=False) as client:
        # A look at what is loaded also lets go of the connections to the model server that have expired.
        await client.get("/health")
        text = (await client.get("/metrics")).text
        connections = service.net_connections(kind="tcp")
    return running_tasks(text), sum(connection.status != psutil.CONN_LISTEN for connection in connections)


def running_tasks(metrics: str) -> int:
    """As `/metrics` tells; raises where it does not, since then no leak would be seen."""
    if found := _TASKS.search(metrics):
        return int(float(found.group(1)))
    raise RuntimeError("/metrics has no router_running_tasks")


async def _settled(service: psutil.Process, base_url: str, tasks: int, sockets: int) -> tuple[int, int]:
    """What is left in the end; who hung up last may take a moment to be noticed."""
    left = await _left(service, base_url)
    with suppress(TimeoutError):
        async with asyncio.timeout(MOST_QUIET_S):
            while left[0] > tasks or left[1] > sockets:
                left = await _left(service, base_url)
    return left


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    figures = asyncio.run(soak(asked.seconds, asked.clients, asked.seed))
    print(json.dumps(figures))
    sys.exit(has_failed(figures, asked.seconds))


def has_failed(figures: dict[str, float], seconds: float) -> bool:
    """Whether the figures of a run of so many seconds are worse than they may be."""
    if seconds >= GROWTH_TELLS_AFTER_S and figures["memory_growth_pct"] > MOST_GROWTH_PCT:
        return True
    return any(figures[name] for name in ("lost", "wrong", "hung", "leaked_tasks", "leaked_sockets"))


if __name__ == "__main__":
    main()

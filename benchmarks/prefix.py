"""How much of its prompt a model has to read again, turn after turn, and whether anything of ours makes it more.

    python -m benchmarks.prefix [--turns N ...] [--requests DIR] [--captured N] [--seed N] [--quick]

Drives whole sessions of Cline's (generated in both of its dialects, and captured ones of `--requests`) over the
embedded backend's llama.cpp, whose timings tell cached and newly read tokens. Each way has a process of its own:

- `straight`: the client's requests as they are, over Ollama's API
- `plain`: through the graph, without memory; must read what `straight` does, to within 0.5%
- `memory`: through the graph, with a memory bank that changes twice in a session; must read what `straight` does and
  the memory's own tokens once (`memory_added_tokens`), to within 1%
- `control`: straight, with what the bank says to the newest message put into the system prompt of each request

Answers are those of the sessions, not the model's, so that all ways go through the same requests. Prints one JSON
object; under each way:

- `new_tokens`: prompt tokens that were read, in all; `new_tokens_by_turn` the same by the number of the request
- `cached_share`: prompt tokens that were in the cache, of all
- `ttft_s_p50`: seconds to the first token, median
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from itertools import zip_longest
from pathlib import Path
from typing import Any

from benchmarks.prefix_sessions import Session, captured, generated, write_bank
from benchmarks.prefix_ways import Read, Way, naive, straight, through_us
from config.settings import LoggingSettings
from wire.logs import set_up_logging

TURNS = (20, 10)
QUICK_TURNS = (10,)
CAPTURED = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "cline_requests"

Reads = list[list[Read | None]]


async def drive(way: AbstractAsyncContextManager[Way], sessions: Sequence[Session], workspace: Path) -> Reads:
    """Send every request of every session, one after the other; the bank begins anew with each session."""
    reads: Reads = []
    async with way as send:
        for session in sessions:
            write_bank(workspace)
            reads.append([])
            for number, body in enumerate(session.requests):
                if edit := session.edits.get(number):
                    (workspace / "memory-bank" / edit[0]).write_text(edit[1], encoding="utf-8")
                reads[-1].append(await send(body))
    return reads


def figures(reads: Sequence[Sequence[Read]]) -> dict[str, Any]:
    """What one way came to."""
    every = [read for session in reads for read in session]
    by_turn = zip_longest(*([read.new_tokens for read in session] for session in reads), fillvalue=0)
    return {
        "new_tokens": sum(read.new_tokens for read in every),
        "new_tokens_by_turn": [sum(turn) for turn in by_turn],
        "cached_share": round(sum(read.cached_tokens for read in every) / sum(read.prompt_tokens for read in every), 4),
        "ttft_s_p50": round(statistics.median(read.ttft_s for read in every), 3),
    }


def added_tokens(with_memory: Sequence[Sequence[Read]], without: Sequence[Sequence[Read]]) -> int:
    """The memory's own tokens, each once: by how much each session's prompts outgrew those without, as they did."""
    added = 0
    for session, bare in zip(with_memory, without, strict=True):
        more = [read.prompt_tokens - other.prompt_tokens for read, other in zip(session, bare, strict=True)]
        added += sum(max(0, now - before) for before, now in zip([0, *more], more, strict=False))
    return added


async def compare(sessions: Sequence[Session], folder: Path) -> dict[str, Any]:
    """All ways over the same sessions. One that fits the model's window in one of the ways only is left out."""
    workspace = folder / "brewery"
    ways = {
        "straight": straight(),
        "plain": through_us(workspace, memory=False),
        "memory": through_us(workspace, memory=True),
        "control": naive(workspace),
    }
    reads = {name: await drive(way, sessions, workspace) for name, way in ways.items()}
    fits = [all(None not in of_way[index] for of_way in reads.values()) for index in range(len(sessions))]
    read = {
        name: [[each for each in session if each] for session, kept in zip(of_way, fits, strict=True) if kept]
        for name, of_way in reads.items()
    }
    return {
        **{name: figures(of_way) for name, of_way in read.items()},
        "memory_added_tokens": added_tokens(read["memory"], read["straight"]),
        "sessions": [session.name for session, kept in zip(sessions, fits, strict=True) if kept],
        "left_out": [session.name for session, kept in zip(sessions, fits, strict=True) if not kept],
    }


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description="Prompt tokens that are read again, by the way to the model.")
    parser.add_argument("--turns", type=int, nargs="+", default=TURNS, help="requests of each generated session")
    parser.add_argument("--requests", type=Path, default=CAPTURED, help="folder of captured requests")
    parser.add_argument("--captured", type=int, default=1, help="how many captured sessions, the longest first")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one short generated session only")
    asked = parser.parse_args()
    set_up_logging(LoggingSettings())
    turns = QUICK_TURNS if asked.quick else asked.turns
    sessions = [
        generated(requests, seed=asked.seed + number, legacy=number % 2 == 1) for number, requests in enumerate(turns)
    ]
    if not asked.quick and asked.requests.is_dir():
        sessions += captured(asked.requests, asked.captured)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(compare(sessions, Path(folder).resolve())), indent=1))


if __name__ == "__main__":
    main()

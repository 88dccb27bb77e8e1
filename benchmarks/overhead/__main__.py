"""What the router itself costs, beside its peers: `python -m benchmarks.overhead [options]` prints one JSON object.

Everybody answers the same requests in front of the same scripted Ollama on loopback, in interleaved rounds:

- `straight`: nobody in between; what the others add is counted from here
- `passthrough`: FastAPI and httpx, nothing else
- `ours`: everything on, memory from a warm bank of 300 passages; `ours_no_memory`: the same without memory
- `litellm`, `langgraph_openai_serve`: in environments of their own (`make bench-peers`), else left out with the reason

Everybody is started once a round, with a new bank, before anything else; the last start is the one that is measured
further. Whose process ends by itself is started again; the round that it ended in is told as missing, with what it last
said.

Loads are named `kind/answer/clients`, as in `tool_turn/stream_21/1`. Kinds: `short`, a person's plain question;
`person_turn`, new words of a person's in a Cline conversation of 60 KB with 25 tools; `tool_turn`, a tool's result in
it; `history_400k`, the same after 40 turns of 400 KB. Answers: `stream_21`, `stream_1000` (at once), `paced_21`,
`paced_1000` (2 ms before each piece), `whole` (not streamed). Every request differs from the one before.

The report: `contenders.<name>.<load>`, each with `added_ttft_ms_p50`, `added_ttft_ms_p95`, `cpu_ms_per_request`,
`cpu_ms_per_chunk` (each further one; null where the short answer was not measured), `requests_per_s`, `rss_mb`,
`accepted_s` and `startup_s` (from the process's start to the first accepted request, a chat, and to the end of its
answer), and `spread`, the least and the most of the rounds. Then `targets`, `missing`, and `machine`.

    python -m benchmarks.overhead --quick                           # a minute or two
    python -m benchmarks.overhead --loads 'tool_turn/*/1' --contenders straight,ours
    python -m benchmarks.overhead --full --save                     # hours on a slow machine, minutes on a fast one
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import uvloop

from benchmarks.overhead import report, targets
from benchmarks.overhead.bodies import BANK_PASSAGES, kinds, write_bank
from benchmarks.overhead.contenders import NAMES, RESULTS, Contender, Missing, bank_indexed, running
from benchmarks.overhead.load import Refused
from benchmarks.overhead.loads import CLIENTS, USUAL, Load, chosen
from benchmarks.overhead.measure import Measurement

QUICK = ("*/stream_21/1", "tool_turn/stream_21/32", "tool_turn/paced_*/1")
QUICK_ROUNDS, QUICK_SECONDS = 2, 0.4


async def measure(
    names: Sequence[str], loads: Sequence[Load], folder: Path, *, rounds: int, seconds: float
) -> report.Results:
    """As many starts as rounds, then all rounds over all loads; the contenders run from the first to the last of them,
    with files in `folder`.
    """
    results = report.Results()
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(running("straight", None, folder))
        results.starts["straight"] = [upstream.start]
        for number in range(1, rounds):
            for name in names:
                with suppress(Missing):  # which the last start tells
                    async with AsyncExitStack() as only_to_start:
                        await _start(name, upstream, folder / f"start-{number}", only_to_start, results)
        contenders = [upstream, *await _started(names, upstream, folder, stack, results)]
        measurement = Measurement(upstream, kinds(folder / "ours"), seconds=seconds)
        for number in range(rounds):
            for load in loads:
                _say(f"round {number + 1} of {rounds}, {load.name}")
                for contender in list(contenders):
                    try:
                        results.add(contender.name, load, number, await measurement.take(contender, load))
                    except (Refused, OSError, TimeoutError, psutil.Error) as error:
                        ended = contender.how_it_ended()
                        if ended and contender is upstream:
                            raise RuntimeError(f"The scripted Ollama cannot be missed: {ended}") from error
                        reason = ended or str(error)[:300] or type(error).__name__
                        results.missing[f"{contender.name}, round {number + 1} of {load.name},"] = reason
                        if ended:
                            contenders.remove(contender)
                            contenders += await _started([contender.name], upstream, folder, stack, results)
    return results


async def _started(
    names: Sequence[str], upstream: Contender, folder: Path, stack: AsyncExitStack, results: report.Results
) -> list[Contender]:
    """Those that run here, ready to be measured: a bank has its vectors."""
    contenders = []
    for name in names:
        if name == "straight":
            continue
        try:
            contender = await _start(name, upstream, folder, stack, results)
            if name == "ours":
                await bank_indexed(contender.port, folder / name)
            contenders.append(contender)
        except Missing as error:
            results.missing[name] = str(error)
    return contenders


async def _start(
    name: str, upstream: Contender, folder: Path, stack: AsyncExitStack, results: report.Results
) -> Contender:
    _say(f"starting {name}")
    own = folder / name
    if not own.exists():
        write_bank(own, BANK_PASSAGES)
    contender = await stack.enter_async_context(running(name, upstream, own))
    results.starts.setdefault(name, []).append(contender.start)
    return contender


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _options(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.overhead", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ",".join(NAMES)
    parser.add_argument("--contenders", default=names, help=f"of {names}; straight is always measured")
    parser.add_argument("--loads", help=f"patterns of names, with commas (default: {','.join(USUAL)})")
    parser.add_argument("--clients", default=",".join(map(str, CLIENTS)), help="how many ask at once (default: 1,4,32)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each load lasts at least, in each round")
    parser.add_argument("--quick", action="store_true", help="fewer loads and rounds: a minute or two")
    parser.add_argument("--full", action="store_true", help="every kind, answer and number of clients")
    parser.add_argument("--save", action="store_true", help="write JSON and Markdown to benchmarks/results/ as well")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print the JSON to standard output and the tables to standard error."""
    options = _options(given)
    patterns = tuple(options.loads.split(",")) if options.loads else ("*",) if options.full else USUAL
    rounds, seconds = options.rounds, options.seconds
    if options.quick:
        rounds, seconds = QUICK_ROUNDS, QUICK_SECONDS
        patterns = tuple(options.loads.split(",")) if options.loads else QUICK
    names = options.contenders.split(",")
    if unknown := set(names) - set(NAMES):
        raise SystemExit(f"No contender is called {', '.join(sorted(unknown))}: choose of {', '.join(NAMES)}.")
    loads = chosen(patterns, tuple(int(number) for number in options.clients.split(",")))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        results = uvloop.run(measure(names, loads, Path(made).resolve(), rounds=rounds, seconds=seconds))
    told = results.as_json(loads)
    found = targets.targets(told["contenders"])
    told["targets"] = targets.as_json(found)
    tables = f"{targets.markdown(found)}\n{report.markdown(told)}"
    _say(f"\n{tables}")
    print(json.dumps(told, indent=1))
    if options.save:
        _save(told, tables)


def _save(told: dict[str, Any], tables: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    day = datetime.now(UTC).date().isoformat()
    head = "\n".join(f"- {name}: {value}" for name, value in told["machine"].items())
    (RESULTS / "overhead.json").write_text(json.dumps({"day": day, **told}, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "overhead.md").write_text(f"# Overhead, {day}\n\n{head}\n\n{tables}", encoding="utf-8")


if __name__ == "__main__":
    main()

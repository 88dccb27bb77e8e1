"""How the router's cost grows: `python -m benchmarks.overhead.growth [--most N] [--banks] [--save]` prints one JSON
object; `--save` writes it and a page with plots to `benchmarks/results/` too.

Sizes of 1, 10, 100, … up to `most`: messages of a conversation, tools on offer, pieces of an answer, and, with
`--banks`, passages of a memory bank (each bank is indexed first, which takes minutes). By size: `added_ttft_ms`, what
the router adds to the first token, and `cpu_ms_per_request`, each the median of three rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.overhead.bodies import NONCE, Kind, tool_loop, tools, write_bank
from benchmarks.overhead.contenders import RESULTS, Contender, bank_indexed, running
from benchmarks.overhead.loads import FEW, Load
from benchmarks.overhead.measure import Measurement

ROUNDS = 3
SECONDS = 0.5
MEASURES = {"added_ttft_ms": "ms added to the first token", "cpu_ms_per_request": "CPU-ms a request"}
RESULT_CHARS = 400

Points = dict[str, dict[int, dict[str, float]]]


def conversation(messages: int, offered: int = 1) -> Kind:
    """A tool turn after so many messages, about half of them results."""
    asked = {"role": "user", "content": "Please change how the pump's schedule is read."}
    opening = {"messages": [asked], "tools": [_without_arguments(tool) for tool in tools(offered)]}
    grown = [asked, *tool_loop(messages // 2, RESULT_CHARS, "g"), *tool_loop(1, RESULT_CHARS, NONCE)]
    return Kind(opening, {**opening, "messages": grown})


def _without_arguments(tool: Mapping[str, Any]) -> dict[str, Any]:
    """So that a thousand of them fit a window."""
    return {**tool, "function": {**tool["function"], "parameters": {"type": "object", "properties": {}}}}


async def measure(sizes: list[int], *, banks: bool) -> Points:
    """All series over these sizes."""
    points: Points = {}
    kinds = {f"messages_{size}": conversation(size) for size in sizes}
    kinds |= {f"tools_{size}": conversation(2, size) for size in sizes}
    kinds |= {f"chunks_{size}": conversation(2) for size in sizes}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        folder = Path(made)
        async with AsyncExitStack() as stack:
            upstream = await stack.enter_async_context(running("straight", None, folder))
            ours = await stack.enter_async_context(running("ours_no_memory", upstream, _empty(folder / "plain")))
            for name in kinds:
                series, _, told = name.partition("_")
                answer = f"stream_{told if series == 'chunks' else FEW}"
                points.setdefault(series, {})[int(told)] = await _point(upstream, ours, kinds, Load(name, answer, 1))
            for size in sizes if banks else ():
                points.setdefault("bank", {})[size] = await _bank_point(upstream, folder / f"bank-{size}", size)
    return points


async def _bank_point(upstream: Contender, folder: Path, passages: int) -> dict[str, float]:
    write_bank(folder, passages)
    kinds = {"asked": Kind(None, {"messages": [{"role": "user", "content": NONCE}]})}
    async with running("ours", upstream, folder) as ours:
        await bank_indexed(ours.port, folder)
        return await _point(upstream, ours, kinds, Load("asked", f"stream_{FEW}", 1))


async def _point(upstream: Contender, ours: Contender, kinds: Mapping[str, Kind], load: Load) -> dict[str, float]:
    measurement = Measurement(upstream, kinds, seconds=SECONDS)
    rounds = [(await measurement.take(upstream, load), await measurement.take(ours, load)) for _ in range(ROUNDS)]
    return {
        "added_ttft_ms": round(median(own.ttft_ms_p50 - straight.ttft_ms_p50 for straight, own in rounds), 2),
        "cpu_ms_per_request": round(median(own.cpu_ms_per_request for _, own in rounds), 2),
    }


def markdown(points: Mapping[str, Mapping[Any, Mapping[str, float]]]) -> str:
    """A table and a plot for each series; the sizes are powers of ten, so that a straight growth bends upwards."""
    lines = ["# Growth", "", "In each plot, one line for each row of the table above it."]
    for series, by_size in points.items():
        lines += ["", f"## {series}", "", f"| | {' | '.join(map(str, by_size))} |", f"|---|{'---:|' * len(by_size)}"]
        for measure, title in MEASURES.items():
            lines.append(f"| {title} | {' | '.join(str(point[measure]) for point in by_size.values())} |")
        lines += [
            "",
            "```mermaid",
            "xychart-beta",
            f"    x-axis {json.dumps([str(size) for size in by_size])}",
            '    y-axis "ms"',
        ]
        lines += [f"    line {[point[measure] for point in by_size.values()]}" for measure in MEASURES]
        lines.append("```")
    return "\n".join(lines) + "\n"


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=1_000)
    parser.add_argument("--banks", action="store_true")
    parser.add_argument("--save", action="store_true")
    asked = parser.parse_args()
    sizes = [size for size in (1, 10, 100, 1_000, 10_000) if size <= asked.most]
    points = asyncio.run(measure(sizes, banks=asked.banks))
    told = json.dumps(points, indent=1)
    print(told)
    if asked.save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "growth.json").write_text(f"{told}\n", encoding="utf-8")
        (RESULTS / "growth.md").write_text(markdown(points), encoding="utf-8")


if __name__ == "__main__":
    main()

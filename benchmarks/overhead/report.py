"""From the figures of the rounds to one JSON object and a Markdown table: medians, and spreads from least to most."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from statistics import median
from typing import Any

import psutil

from benchmarks.overhead.contenders import Start
from benchmarks.overhead.loads import FEW, Load
from benchmarks.overhead.measure import Figures

MEASURES = (
    "added_ttft_ms_p50",
    "added_ttft_ms_p95",
    "cpu_ms_per_request",
    "cpu_ms_per_chunk",
    "requests_per_s",
    "rss_mb",
    "accepted_s",
    "startup_s",
)
VERSIONS = ("fastapi", "httpx", "langchain-core", "langchain-ollama", "langgraph", "orjson", "pydantic", "uvicorn")

Series = dict[str, list[float]]


@dataclass
class Results:
    """All figures by contender, load and round, and all starts by contender; `missing` says why a contender, or a round
    of one, was left out.
    """

    figures: dict[str, dict[str, dict[int, Figures]]] = field(default_factory=dict)
    starts: dict[str, list[Start]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, contender: str, load: Load, number: int, figures: Figures) -> None:
        """Take in one measurement of this round."""
        self.figures.setdefault(contender, {}).setdefault(load.name, {})[number] = figures

    def series(self, contender: str, load: Load) -> Series | None:
        """The measures of each round; None where the contender was not measured under this load.

        Times are those that are added to the median of who goes straight to the model in the same round. CPU per chunk
        is that of each further one: what the long answer took more than the short one, by the pieces it had more.
        """
        own = self.figures.get(contender, {}).get(load.name)
        straight = self.figures.get("straight", {}).get(load.name)
        if not own or not straight:
            return None
        series: Series = {
            "added_ttft_ms_p50": [a.ttft_ms_p50 - b.ttft_ms_p50 for a, b in _same_rounds(own, straight)],
            "added_ttft_ms_p95": [a.ttft_ms_p95 - b.ttft_ms_p50 for a, b in _same_rounds(own, straight)],
            "cpu_ms_per_request": [each.cpu_ms_per_request for each in own.values()],
            "requests_per_s": [each.requests_per_s for each in own.values()],
            "rss_mb": [each.rss_mb for each in own.values()],
            "accepted_s": [start.accepted_s for start in self.starts[contender]],
            "startup_s": [start.answered_s for start in self.starts[contender]],
        }
        shorter = self.figures[contender].get(load.shorter or "")
        if shorter:
            further = load.delivery.chunks - FEW
            series["cpu_ms_per_chunk"] = [
                (a.cpu_ms_per_request - b.cpu_ms_per_request) / further for a, b in _same_rounds(own, shorter)
            ]
        return series

    def as_json(self, loads: Sequence[Load]) -> dict[str, Any]:
        """`contenders.<name>.<load>.<measure>`: the median over the rounds; `spread` has the least and the most."""
        contenders: dict[str, Any] = {}
        for name in self.figures:
            by_load = {load.name: _told(series) for load in loads if (series := self.series(name, load))}
            contenders[name] = by_load
        return {"contenders": contenders, "missing": self.missing, "machine": machine()}


def _same_rounds(one: Mapping[int, Figures], other: Mapping[int, Figures]) -> list[tuple[Figures, Figures]]:
    return [(figures, other[number]) for number, figures in one.items() if number in other]


def _told(series: Series) -> dict[str, Any]:
    told: dict[str, Any] = {name: round(median(series[name]), 3) if series.get(name) else None for name in MEASURES}
    told["spread"] = {name: [round(min(values), 3), round(max(values), 3)] for name, values in series.items() if values}
    return told


def markdown(report: Mapping[str, Any]) -> str:
    """One table a load: a contender a line, its medians and in brackets the spread over the rounds."""
    contenders: Mapping[str, Mapping[str, Any]] = report["contenders"]
    loads = list(dict.fromkeys(load for by_load in contenders.values() for load in by_load))
    lines: list[str] = []
    for load in loads:
        lines += ["", f"### {load}", "", f"| | {' | '.join(MEASURES)} |", f"|---|{'---:|' * len(MEASURES)}"]
        for name, by_load in contenders.items():
            if told := by_load.get(load):
                lines.append(f"| {name} | {' | '.join(_cell(told, measure) for measure in MEASURES)} |")
    lines += [f"\n{name} is missing: {reason}" for name, reason in report["missing"].items()]
    return "\n".join(lines).strip() + "\n"


def _cell(told: Mapping[str, Any], measure: str) -> str:
    if told[measure] is None:
        return "–"
    least, most = told["spread"][measure]
    return f"{told[measure]:.2f}" if least == most else f"{told[measure]:.2f} ({least:.2f}–{most:.2f})"


def machine() -> dict[str, Any]:
    """What it was measured on."""
    return {
        "cpu": _cpu(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": platform.platform(terse=True),
        "python": sys.version.split()[0],
        **{name: metadata.version(name) for name in VERSIONS},
    }


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as told:  # noqa: PTH123 - a file only of Linux
            return next(line.partition(":")[2].strip() for line in told if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()

"""What is asked of the router, held against a report: by figures of ours, and by ratios within the same run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

Contenders = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Target:
    """One target: its bound, and what was measured, None where the run did not."""

    target: str
    bound: float
    measured: float | None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether it was reached."""
        if self.measured is None:
            return None
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound


def targets(contenders: Contenders) -> list[Target]:
    """All targets in the order of the table in docs/performance.md."""

    def of(load: str, measure: str, name: str = "ours") -> float | None:
        value = contenders.get(name, {}).get(load, {}).get(measure)
        return None if value is None else float(value)

    def most(name: str, measure: str) -> float | None:
        return max((float(told[measure]) for told in contenders.get(name, {}).values()), default=None)

    def saturated(name: str) -> float | None:
        return of("tool_turn/stream_21/32", "requests_per_s", name)

    tool, person, first = "tool_turn/stream_21/1", "person_turn/stream_21/1", "added_ttft_ms_p50"
    history = _ratio(of("history_400k/stream_21/1", first), of("short/stream_21/1", first))
    rate = saturated("ours")
    return [
        Target("added ms to the first token, tool turn, p50", 8, of(tool, first)),
        Target("the same, p95", 16, of(tool, "added_ttft_ms_p95")),
        Target("added ms to the first token, person's turn, p50", 22, of(person, first)),
        Target("the same, p95", 40, of(person, "added_ttft_ms_p95")),
        Target("CPU ms of a tool turn of 21 chunks", 12, of(tool, "cpu_ms_per_request")),
        Target("CPU ms of a further chunk", 0.25, of("tool_turn/paced_1000/1", "cpu_ms_per_chunk")),
        Target("requests/s at 32 clients against litellm", 7, _ratio(rate, saturated("litellm")), at_least=True),
        Target(
            "requests/s at 32 clients against langgraph-openai-serve",
            2,
            _ratio(rate, saturated("langgraph_openai_serve")),
            at_least=True,
        ),
        Target("added time, 400 KB of history against a short request", 4, history),
        Target("resident MB without embedder", 220, most("ours_no_memory", "rss_mb")),
        Target("resident MB with embedder", 900, most("ours", "rss_mb")),
        Target("s from the process's start to the first accepted request", 3, most("ours", "accepted_s")),
        Target("the same, to the end of its answer", 3, most("ours", "startup_s")),
    ]


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def as_json(found: list[Target]) -> list[dict[str, Any]]:
    """The targets with whether they were met."""
    return [{**asdict(each), "met": each.met} for each in found]


def markdown(found: list[Target]) -> str:
    """The targets as a table."""
    lines = ["| | required | measured | met |", "|---|---|---:|---|"]
    for each in found:
        bound = f"{'≥' if each.at_least else '≤'} {each.bound}"
        got = "not measured" if each.measured is None else f"{each.measured:.2f}"
        lines.append(f"| {each.target} | {bound} | {got} | {'' if each.met is None else 'yes' if each.met else 'no'} |")
    return "\n".join(lines) + "\n"

"""The figures in docs/performance.md: `python -m benchmarks.overhead.page` writes them there from the saved results.

`make bench` does so once it has measured. A page without saved results has none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from benchmarks.overhead import growth
from benchmarks.overhead.contenders import RESULTS, ROOT
from benchmarks.overhead.report import VERSIONS
from benchmarks.overhead.targets import Target, markdown

PAGE = ROOT / "docs" / "performance.md"
OVERHEAD, GROWTH = RESULTS / "overhead.json", RESULTS / "growth.json"
# What the columns say, and where in the report it stands.
COLUMNS = {
    "added ms, tool turn, p50": ("tool_turn/stream_21/1", "added_ttft_ms_p50"),
    "p95": ("tool_turn/stream_21/1", "added_ttft_ms_p95"),
    "added ms, person's turn, p50": ("person_turn/stream_21/1", "added_ttft_ms_p50"),
    "CPU-ms, person's turn": ("person_turn/stream_21/1", "cpu_ms_per_request"),
    "CPU-ms, tool turn": ("tool_turn/stream_21/1", "cpu_ms_per_request"),
    "CPU-ms, 400 KB of history": ("history_400k/stream_21/1", "cpu_ms_per_request"),
    "CPU-ms, further chunk": ("tool_turn/paced_1000/1", "cpu_ms_per_chunk"),
    "requests/s, 32 clients": ("tool_turn/stream_21/32", "requests_per_s"),
    "MB": ("tool_turn/stream_21/1", "rss_mb"),
    "s to the first request": ("tool_turn/stream_21/1", "accepted_s"),
    "s to its answer": ("tool_turn/stream_21/1", "startup_s"),
}
LARGE = 1_000  # of such figures, every digit is told
_FIGURES = re.compile(r"(?<=<!-- figures -->\n).*(?=<!-- end of figures -->)", re.DOTALL)

Json = Mapping[str, Any]


def with_figures(page: str, overhead: Json | None, grown: Json | None) -> str:
    """The page with these results, as they were saved, in place of the figures in it."""
    figures = "".join([_overhead(overhead) if overhead else "", _growth(grown) if grown else ""])
    return _FIGURES.sub(lambda _: figures, page)


def saved() -> tuple[Json | None, Json | None]:
    """The results of overhead and growth; None for what was not saved."""
    overhead, grown = (
        json.loads(file.read_text(encoding="utf-8")) if file.exists() else None for file in (OVERHEAD, GROWTH)
    )
    return overhead, grown


def _overhead(told: Json) -> str:
    machine = told["machine"]
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", *VERSIONS))
    targets = [Target(**{key: value for key, value in each.items() if key != "met"}) for each in told["targets"]]
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}"
    lines = [
        f"Measured on {told['day']}: {where}; {versions}. Medians of the rounds.",
        "",
        markdown(targets),
        f"| | {' | '.join(COLUMNS)} |",
        f"|---|{'---:|' * len(COLUMNS)}",
        *(f"| `{name}` | {' | '.join(_cells(by_load))} |" for name, by_load in told["contenders"].items()),
        *(f"\n{name} is missing: {reason}" for name, reason in told["missing"].items()),
    ]
    return "\n".join(lines) + "\n\nAll loads, with spreads: `benchmarks/results/overhead.md`.\n"


def _cells(by_load: Json) -> list[str]:
    values = [by_load.get(load, {}).get(measure) for load, measure in COLUMNS.values()]
    return ["–" if value is None else f"{value:.3g}" if value < LARGE else f"{value:,.0f}" for value in values]


def _growth(grown: Json) -> str:
    return growth.markdown(grown).replace("\n## ", "\n#### ").replace("# Growth\n", "\n### Growth\n", 1)


def main() -> None:
    """Write the page."""
    PAGE.write_text(with_figures(PAGE.read_text(encoding="utf-8"), *saved()), encoding="utf-8")


if __name__ == "__main__":
    main()

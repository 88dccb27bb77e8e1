"""The figures in docs/performance.md are those that were saved."""

from __future__ import annotations

from typing import Any

from benchmarks.overhead import targets
from benchmarks.overhead.page import COLUMNS, PAGE, saved, with_figures
from benchmarks.overhead.report import VERSIONS

EMPTY = "before\n<!-- figures -->\n<!-- end of figures -->\nbehind\n"


def report(contenders: dict[str, Any]) -> dict[str, Any]:
    machine = dict.fromkeys(("cpu", "cores", "memory_gb", "system", "python", *VERSIONS), "1")
    found = targets.as_json(targets.targets(contenders))
    missing = {"litellm": "it is not installed."}
    return {"day": "2026-01-02", "machine": machine, "contenders": contenders, "targets": found, "missing": missing}


def test_the_page_has_the_saved_figures() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_figures(page, *saved()) == page, "run `python -m benchmarks.overhead.page`"


def test_a_contender_has_a_line_with_what_was_measured_of_it() -> None:
    load, measure = COLUMNS["CPU-ms, tool turn"]
    told = {"accepted_s": 1.8, "startup_s": 2.0, "rss_mb": 200.0, measure: 11.25}
    page = with_figures(EMPTY, report({"ours": {load: told}}), None)
    [row] = [line for line in page.splitlines() if line.startswith("| `ours` |")]
    cells = dict(zip(COLUMNS, (cell.strip() for cell in row.split("|")[2:-1]), strict=True))
    assert {name: cell for name, cell in cells.items() if cell != "–"} == {
        "CPU-ms, tool turn": "11.2",
        "MB": "200",
        "s to the first request": "1.8",
        "s to its answer": "2",
    }
    assert "| CPU ms of a tool turn of 21 chunks | ≤ 12 | 11.25 | yes |" in page
    assert "litellm is missing: it is not installed." in page


def test_figures_take_the_place_of_those_before() -> None:
    first = with_figures(EMPTY, report({}), {"messages": {"1": {"added_ttft_ms": 1.5, "cpu_ms_per_request": 9.0}}})
    assert "#### messages" in first
    assert "line [1.5]" in first
    assert with_figures(first, None, None) == EMPTY
    assert first.startswith("before\n")
    assert first.endswith("behind\n")

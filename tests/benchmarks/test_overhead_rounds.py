"""A contender that ends in the middle of a run costs that run one round of its figures, and is told."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.overhead import contenders
from benchmarks.overhead.contenders import Contender, Start
from benchmarks.overhead.loads import Load
from benchmarks.overhead.measure import Figures
from benchmarks.overhead.report import Results

LOAD = Load("short", "stream_21", 1)
STARTS = {"straight": [Start(0.1, 0.1)], "litellm": [Start(8.0, 9.0), Start(6.0, 6.5), Start(6.0, 7.0)]}


def figures(ttft_ms: float) -> Figures:
    return Figures(ttft_ms, ttft_ms, cpu_ms_per_request=1.0, requests_per_s=1.0, rss_mb=1.0, requests=8)


def started(code: str, log: Path) -> Contender:
    with log.open("wb") as written:
        process = psutil.Popen([sys.executable, "-X", "faulthandler", "-c", code], stderr=written)
    return Contender("litellm", 0, process, Start(0.0, 0.0), log)


def test_a_round_is_held_against_the_same_round_of_who_goes_straight_to_the_model() -> None:
    results = Results(starts=STARTS)
    for number, ttft_ms in enumerate((1.0, 5.0, 2.0)):
        results.add("straight", LOAD, number, figures(ttft_ms))
    for number, ttft_ms in ((0, 11.0), (2, 12.0)):
        results.add("litellm", LOAD, number, figures(ttft_ms))
    series = results.series("litellm", LOAD)
    assert series is not None
    assert series["added_ttft_ms_p50"] == [10.0, 10.0]


def test_rounds_of_which_none_is_shared_give_no_figure() -> None:
    results = Results(starts=STARTS)
    results.add("straight", LOAD, 0, figures(1.0))
    results.add("litellm", LOAD, 1, figures(9.0))
    assert results.as_json([LOAD])["contenders"]["litellm"][LOAD.name]["added_ttft_ms_p50"] is None


def test_of_several_starts_the_median_counts_and_the_spread_is_told() -> None:
    results = Results(starts=STARTS)
    results.add("straight", LOAD, 0, figures(1.0))
    results.add("litellm", LOAD, 0, figures(9.0))
    told = results.as_json([LOAD])["contenders"]["litellm"][LOAD.name]
    assert (told["accepted_s"], told["startup_s"]) == (6.0, 7.0)
    assert told["spread"]["startup_s"] == [6.5, 9.0]


def test_a_crash_is_told_with_where_it_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contenders, "ENDS_WITHIN_S", 60.0)
    contender = started("import faulthandler; faulthandler._sigsegv()", tmp_path / "log")
    ended = contender.how_it_ended()
    assert ended is not None
    assert ended.startswith("it ended by itself, with -11: Segmentation fault")
    assert "line 1 in <module>" in ended


def test_what_was_last_said_is_told_where_nothing_crashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contenders, "ENDS_WITHIN_S", 60.0)
    assert started("raise SystemExit('the port is taken')", tmp_path / "log").how_it_ended() == (
        "it ended by itself, with 1: the port is taken"
    )
    assert started("", tmp_path / "log").how_it_ended() == "it ended by itself, with 0: it said nothing"


def test_what_runs_on_has_not_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contenders, "ENDS_WITHIN_S", 0.01)
    contender = started("import time; time.sleep(600)", tmp_path / "log")
    try:
        assert contender.how_it_ended() is None
    finally:
        contender.process.kill()
        contender.process.wait()

"""What comes first of a bank, as a question meets it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrievers.candidates import OF_NEIGHBOUR, Candidate, lifted, nearest_lines
from retrievers.cut_passages import CutPassage
from retrievers.memory import MemoryService
from retrievers.types import Passage
from tests.retrievers.memory_support import WordEmbedder, count_words, words, write_bank


@pytest.fixture
def service(tmp_path: Path) -> Iterator[MemoryService]:
    made = MemoryService(vector_store_path=tmp_path / "index", embedder=WordEmbedder(), count_tokens=count_words)
    yield made
    made.close()


def indexed(service: MemoryService, workspace: Path, files: dict[str, str]) -> Path:
    write_bank(workspace / "memory-bank", files)
    service.status_blocking(workspace)
    assert service.wait_indexed(20)
    return workspace


def candidate(scores: list[float], *, archived: bool = False) -> Candidate:
    passage = Passage("", "memory-bank/f.md", "", 1, 1, datetime.now(UTC), archived=archived)
    return Candidate(passage, lambda _: CutPassage((), (), 0, 0, "", ()), lambda _: scores)


def test_what_are_we_working_on_is_answered_by_the_opening_of_the_active_context(
    service: MemoryService, tmp_path: Path
) -> None:
    opening = f"# Gauges\nThe importer moves to another queue.\n{words(300, 'queue')}"
    workspace = indexed(
        service,
        tmp_path / "project",
        {
            "projectbrief.md": f"# Harbours\n{words(400, 'harbour')}",
            "systemPatterns.md": f"# Layers\n{words(400, 'gull')}",
            "activeContext.md": f"{opening}\n## Tides\n{words(400, 'reef')}",
        },
    )
    first = service.search_blocking(workspace, "present work and current focus", 3).passages[0]
    assert (first.file, first.start_line) == ("memory-bank/activeContext.md", 1)


def test_the_line_beside_the_nearest_comes_with_it(service: MemoryService, tmp_path: Path) -> None:
    lines = [f"- {name}: {words(12, name)}".strip() for name in ("anchor", "buoy", "crane", "dock", "ebb", "ferry")]
    lines[3] = "- sluice valves are opened by hand whenever the water of the harbour basin stands too high for pumps"
    lines[4] = "  because of the salt which eats every motor that was ever tried there, one after another within weeks"
    workspace = indexed(
        service,
        tmp_path / "project",
        {"projectbrief.md": "# Yard\n" + "\n".join(lines), "progress.md": f"# Progress\n{words(600, 'gull')}"},
    )
    found = service.recall_blocking(workspace, "why are sluice valves opened by hand?", 60, prefer_whole=False)
    assert "because of the salt" in found.passages[0].text


def test_no_line_of_an_archived_file_comes_before_the_best_live_one() -> None:
    """The one sentence of a short archived note was nearer than a live passage that says much besides, and led."""
    live, archived = candidate([0.3, 0.1]), candidate([0.5, 1.2], archived=True)
    assert nearest_lines([archived, live]) == [(1, 0), (0, 1), (1, 1), (0, 0)]
    assert nearest_lines([archived, archived]) == [(0, 1), (1, 1), (0, 0), (1, 0)]


def test_a_line_lifts_those_beside_it() -> None:
    assert lifted([0.2, 1.0, 0.0, 0.4]) == pytest.approx([0.2 + OF_NEIGHBOUR * 0.8, 1.0, OF_NEIGHBOUR, 0.4])
    assert lifted([0.5]) == [0.5]


_SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=5)


@given(st.lists(st.tuples(_SCORES, st.booleans()), max_size=6))
def test_each_line_comes_once_and_the_live_ones_best_first(own: list[tuple[list[float], bool]]) -> None:
    found = nearest_lines([candidate(scores, archived=archived) for scores, archived in own])
    each = [(number, group) for number, (scores, _) in enumerate(own) for group in range(len(scores))]
    assert sorted(found) == each
    live = [own[number][0][group] for number, group in found if not own[number][1]]
    assert live == sorted(live, reverse=True)

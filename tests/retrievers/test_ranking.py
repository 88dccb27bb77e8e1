"""What comes first of a bank, as a question meets it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from retrievers.lines import line_groups
from retrievers.memory import MemoryService
from retrievers.ranking import Candidate, archived_lines_below
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


def candidate(*scores: float, archived: bool) -> Candidate:
    text = "".join(f"## Note {number}\nThe crane is run by somebody.\n" for number in range(len(scores)))
    passage = Passage(text, "memory-bank/notes.md", "", 1, 2 * len(scores), datetime.now(UTC), archived=archived)
    return Candidate(passage, max(scores), tuple(line_groups(passage)), scores)


def test_no_line_of_an_archived_file_comes_before_the_best_live_one() -> None:
    """The one sentence of a short archived note was nearer than a live passage that says much besides, and led."""
    live, archived = archived_lines_below([candidate(0.3, 0.1, archived=False), candidate(1.2, 0.5, archived=True)])
    assert live.group_scores == pytest.approx((0.3, 0.1))
    assert max(archived.group_scores) < 0.3
    assert archived.group_scores[0] > archived.group_scores[1]
    (alone,) = archived_lines_below([candidate(0.4, archived=True)])
    assert alone.group_scores == pytest.approx((0.4,))
    assert archived_lines_below([]) == ()

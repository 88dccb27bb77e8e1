"""What comes first of a bank, as a question meets it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retrievers.memory import MemoryService
from retrievers.ranking import OF_ITS_PASSAGE, OF_NEIGHBOUR, line_scores
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


def test_no_line_of_an_archived_file_comes_before_the_best_live_one() -> None:
    """The one sentence of a short archived note was nearer than a live passage that says much besides, and led."""
    near = np.array([0.3, 0.1, 1.2, 0.5], dtype=np.float32)
    scores = line_scores(np.zeros(2, dtype=np.float32), [2, 2], near, np.array([False, False, True, True]))
    assert scores[:2] == pytest.approx([0.3, 0.15])
    assert scores[3] < scores[2] < 0.3
    alone = line_scores(np.zeros(1, dtype=np.float32), [2], near[2:], np.array([True, True]))
    assert alone[0] == pytest.approx(1.2)


def test_a_line_lifts_those_beside_it_and_none_of_the_next_passage() -> None:
    near = np.array([0.2, 1.0, 0.0, 0.4, 0.4], dtype=np.float32)
    scores = line_scores(np.array([0.5, 0.0], dtype=np.float32), [2, 3], near, np.zeros(5, dtype=np.bool_))
    of_passage = OF_ITS_PASSAGE * 0.5
    lifted = [0.2 + OF_NEIGHBOUR * 0.8 + of_passage, 1.0 + of_passage, OF_NEIGHBOUR * 0.4, 0.4, 0.4]
    assert scores == pytest.approx(lifted)

"""Lines are cut and counted in the background, once for each passage that a bank has."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from retrievers.cut_passages import CutPassages
from retrievers.lines import GAP
from retrievers.memory import MemoryService
from retrievers.types import Passage
from tests.retrievers.memory_support import WordEmbedder, count_words, words, write_bank

PASSAGE = Passage("- a\n- b\n", "memory-bank/f.md", "", 1, 2, datetime.now(UTC), content_id="one")


class Counter:
    """Words; and the texts that were counted."""

    def __init__(self) -> None:
        self.counted: list[str] = []

    def __call__(self, text: str) -> int:
        self.counted.append(text)
        return count_words(text)


def test_a_question_counts_nothing_of_a_bank_that_is_indexed(tmp_path: Path) -> None:
    bank = {"projectbrief.md": f"# Yard\n{words(900, 'gull')}", "progress.md": f"# Progress\n{words(900, 'tide')}"}
    write_bank(tmp_path / "project" / "memory-bank", bank)
    counter = Counter()
    service = MemoryService(vector_store_path=tmp_path / "index", embedder=WordEmbedder(), count_tokens=counter)
    service.status_blocking(tmp_path / "project")
    assert service.wait_indexed(20)
    counter.counted.clear()
    found = service.recall_blocking(tmp_path / "project", "the tide of tide17", 600, prefer_whole=False)
    assert found.tokens > 300
    assert set(counter.counted) <= {f"{GAP}\n"}
    service.close()


def test_a_passage_that_moved_within_its_file_has_its_new_lines() -> None:
    cut = CutPassages(count_words)
    assert cut.of(PASSAGE).groups[0].first_line == 1
    assert cut.of(replace(PASSAGE, start_line=7, end_line=8)).groups[0].first_line == 7


def test_a_passage_that_two_files_have_pays_for_the_source_line_of_each() -> None:
    cut = CutPassages(len)
    longer = replace(PASSAGE, file="memory-bank/archive/f.md")
    assert [cut.of(each).whole_tokens for each in (PASSAGE, longer)] == [len(PASSAGE.rendered), len(longer.rendered)]


def test_what_is_gone_is_forgotten_and_the_rest_is_not_counted_again() -> None:
    counter, stop = Counter(), threading.Event()
    cut = CutPassages(counter)
    gone = replace(PASSAGE, content_id="gone")
    cut.prepare([PASSAGE, gone], stop)
    counter.counted.clear()
    cut.prepare([PASSAGE], stop)
    assert counter.counted == []
    cut.of(gone)
    assert counter.counted != []


def test_a_service_that_stops_prepares_no_more() -> None:
    counter, stop = Counter(), threading.Event()
    stop.set()
    CutPassages(counter).prepare([PASSAGE], stop)
    assert counter.counted == []


def test_what_is_known_stays_so_while_the_rest_is_cut() -> None:
    """All was forgotten first: a question amid the cutting of a bank that had changed cut its passages again."""
    stop, of_known = threading.Event(), list[int]()

    def counted(text: str) -> int:
        if "new" in text:
            before = len(of_known)
            cut.of(PASSAGE)
            assert len(of_known) == before
        else:
            of_known.append(1)
        return count_words(text)

    cut = CutPassages(counted)
    cut.prepare([PASSAGE], stop)
    cut.prepare([replace(PASSAGE, text="new\n", content_id="two"), PASSAGE], stop)
    assert of_known


def test_a_bank_whose_lines_cannot_be_cut_ahead_is_indexed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(CutPassages, "prepare", fails)
    write_bank(tmp_path / "project" / "memory-bank", {"projectbrief.md": "# Yard\ngulls", "progress.md": "# Tide\n"})
    service = MemoryService(vector_store_path=tmp_path / "index", embedder=WordEmbedder(), count_tokens=count_words)
    for _ in range(2):
        service.status_blocking(tmp_path / "project")
        assert service.wait_indexed(20)
        assert service.status_blocking(tmp_path / "project").vectors_ready
        write_bank(tmp_path / "project" / "memory-bank", {"progress.md": "# Tide\nThe herring came."})
    service.close()

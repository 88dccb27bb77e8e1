from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest

from config.errors import IndexMismatch, MemoryUnavailable
from retrievers import index as index_module
from retrievers.corpus import Corpus, CorpusReader
from retrievers.index import BankIndex
from retrievers.line_vectors import LineVectors, lines_file
from retrievers.roles import ROLES
from retrievers.stores.faiss import FaissStore
from retrievers.stores.manifest import MANIFEST
from retrievers.types import EmbedderStatus
from tests.retrievers.memory_support import DIMENSION, WordEmbedder, find_bank, words, write_bank

FILES = {
    "projectbrief.md": f"# Brief\n{words(200, 'brief')}",
    "techContext.md": f"# Tech\n{words(200, 'tech')}## Tools\n{words(200, 'tool')}",
    "progress.md": f"# Progress\n{words(200, 'progress')}",
}


class Indexed:
    """A bank with its index, rebuilt on demand."""

    def __init__(self, tmp_path: Path, embedder: WordEmbedder | None = None) -> None:
        self.workspace = tmp_path / "project"
        self.bank = write_bank(self.workspace / "memory-bank", FILES)
        self.reader = CorpusReader(max_file_bytes=1_000_000)
        self.embedder = embedder or WordEmbedder()
        self.folder = tmp_path / "index"
        self.index = self.reopened(self.embedder)
        self.stop = threading.Event()

    def reopened(self, embedder: WordEmbedder) -> BankIndex:
        return BankIndex(self.folder, embedder, FaissStore)

    def corpus(self) -> Corpus:
        bank = find_bank(self.workspace)
        assert bank is not None
        return self.reader.read(bank)

    def build(self) -> int:
        return self.index.build(self.corpus(), self.stop)


class LoadsWhenLookedAt(WordEmbedder):
    """Ready when it was asked twice; fails where something was opened before."""

    def __init__(self, opened: threading.Event) -> None:
        super().__init__(state="loading")
        self._opened = opened
        self._asked = 0

    def status(self) -> EmbedderStatus:
        self._asked += 1
        assert self.state == "ready" or not self._opened.is_set()
        if self._asked > 1:
            self.state = "ready"
        return super().status()


def test_an_unchanged_bank_is_not_embedded_again(tmp_path: Path) -> None:
    at = Indexed(tmp_path)
    corpus = at.corpus()
    assert not at.index.covers(corpus)
    assert at.build() == len(corpus.chunks)
    assert set(ROLES.values()) < set(at.embedder.embedded)
    assert at.index.covers(corpus)
    assert at.corpus() is corpus
    assert at.build() == 0
    again = WordEmbedder()
    assert at.reopened(again).build(corpus, at.stop) == 0
    assert again.embedded == []


def test_nothing_is_opened_before_the_embedder_is_loaded(tmp_path: Path) -> None:
    opened = threading.Event()

    def open_store(folder: Path, embedder_name: str, dimension: int) -> FaissStore:
        opened.set()
        return FaissStore(folder, embedder_name, dimension)

    at = Indexed(tmp_path, LoadsWhenLookedAt(opened))
    at.index = BankIndex(at.folder, at.embedder, open_store)
    assert at.build() == len(at.corpus().chunks)
    assert opened.is_set()


def test_who_stops_does_not_wait_for_the_embedder(tmp_path: Path) -> None:
    at = Indexed(tmp_path, WordEmbedder(state="loading"))
    at.stop.set()
    assert at.build() == 0
    assert not at.folder.exists()


def test_only_changed_chunks_are_embedded(tmp_path: Path) -> None:
    at = Indexed(tmp_path)
    at.build()
    at.embedder.embedded.clear()
    (at.bank / "progress.md").write_text(FILES["progress.md"] + "## News\n" + words(200, "news"))
    assert 0 < at.build() <= 3
    assert all("news" in text or "progress" in text for text in at.embedder.embedded)


def test_moved_and_copied_text_is_not_embedded_again_and_deleted_text_is_forgotten(tmp_path: Path) -> None:
    at = Indexed(tmp_path)
    at.build()
    (at.bank / "progress.md").rename(at.bank / "history.md")
    (at.bank / "copy.md").write_text(FILES["techContext.md"])
    assert at.build() == 0
    (at.bank / "history.md").unlink()
    before = len(at.index.content_ids)
    assert at.build() == 0
    assert len(at.index.content_ids) < before
    assert at.index.covers(at.corpus())


def test_damaged_and_foreign_indexes_are_rebuilt(tmp_path: Path) -> None:
    at = Indexed(tmp_path)
    total = at.build()
    other = WordEmbedder(name="other", dimension=32)
    assert at.reopened(other).build(at.corpus(), at.stop) == total
    assert at.reopened(WordEmbedder()).build(at.corpus(), at.stop) == total
    (at.folder / MANIFEST).write_text("{")
    assert at.reopened(WordEmbedder()).build(at.corpus(), at.stop) == total


def test_a_build_that_is_stopped_keeps_what_it_has(tmp_path: Path) -> None:
    at = Indexed(tmp_path)
    at.stop.set()
    assert at.build() == 0
    at.stop.clear()
    assert at.build() == len(at.corpus().chunks)


def test_an_index_that_cannot_be_written_still_serves(tmp_path: Path) -> None:
    at = Indexed(tmp_path)
    at.folder.write_text("a file where the folder should be")
    index = BankIndex(at.folder / "deeper", at.embedder, FaissStore)
    index.build(at.corpus(), at.stop)
    assert index.covers(at.corpus())
    assert index.problem is not None
    assert "VECTOR_STORE_PATH" in index.problem


def line_ids(at: Indexed) -> frozenset[str]:
    lines = LineVectors(at.folder, at.embedder.name, DIMENSION)
    found = lines.ids()
    lines.close()
    return found


def test_another_embedder_on_the_folder_takes_nothing_away(tmp_path: Path) -> None:
    at = Indexed(tmp_path)
    at.build()
    corpus = at.corpus()
    query = np.asarray(at.embedder.embed_query("tide"), dtype=np.float32)
    before = at.index.evidence(query, {}, corpus.content_ids)
    at.reopened(WordEmbedder(name="other", dimension=32)).build(corpus, at.stop)
    assert at.index.evidence(query, {}, corpus.content_ids).lines.keys() == before.lines.keys() == corpus.content_ids


def test_lines_that_are_lost_while_they_are_used_serve_until_they_are_made_anew(tmp_path: Path) -> None:
    at = Indexed(tmp_path)
    total = at.build()
    corpus = at.corpus()
    with sqlite3.connect(at.folder / lines_file(at.embedder.name, DIMENSION)) as file:
        file.execute("DROP TABLE lines")
    file.close()
    query = np.asarray(at.embedder.embed_query("tide"), dtype=np.float32)
    assert at.index.evidence(query, {}, corpus.content_ids).lines.keys() == corpus.content_ids
    with pytest.raises(IndexMismatch):
        at.build()
    assert not at.index.covers(corpus)
    assert at.build() == total
    assert at.index.covers(corpus)
    assert at.index.evidence(query, {}, corpus.content_ids).lines.keys() == corpus.content_ids


def test_lines_that_another_service_made_of_a_newer_text_stay(tmp_path: Path) -> None:
    at = Indexed(tmp_path)
    at.build()
    other = at.reopened(at.embedder)
    old = at.corpus()
    other.build(old, at.stop)
    (at.bank / "progress.md").write_text("# News\n" + words(300, "news"))
    other.build(at.corpus(), at.stop)
    at.index.build(old, at.stop)
    assert at.corpus().content_ids <= line_ids(at)


class FailingEmbedder(WordEmbedder):
    """Fails once it has embedded a few batches."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        if len(self.embedded) > 40:
            raise MemoryUnavailable("No more words.")
        return super().embed_documents(texts)


def test_a_build_that_fails_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "BUILD_BATCH_PASSAGES", 1)
    at = Indexed(tmp_path, FailingEmbedder())
    with pytest.raises(MemoryUnavailable):
        at.build()
    done = len(at.index.content_ids)
    total = len(at.corpus().content_ids)
    assert 0 < done < total
    assert at.reopened(WordEmbedder()).build(at.corpus(), at.stop) == total - done


def test_a_build_saves_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "BUILD_BATCH_PASSAGES", 1)
    monkeypatch.setattr(index_module, "SAVE_EVERY_S", 0.0)
    at = Indexed(tmp_path)
    saved: list[int] = []
    save = FaissStore.save

    def counted(store: FaissStore) -> None:
        saved.append(len(store.ids()))
        save(store)

    monkeypatch.setattr(FaissStore, "save", counted)
    total = at.build()
    assert saved == [*range(1, total + 1), total]

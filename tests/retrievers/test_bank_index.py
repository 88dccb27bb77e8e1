from __future__ import annotations

import threading
from pathlib import Path

from retrievers.bank import find_bank
from retrievers.corpus import Corpus, CorpusReader
from retrievers.index import BankIndex
from retrievers.roles import ROLES
from retrievers.stores.faiss import FaissStore
from retrievers.stores.manifest import MANIFEST
from tests.retrievers.memory_support import WordEmbedder, words, write_bank

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

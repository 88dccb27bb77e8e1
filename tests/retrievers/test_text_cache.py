"""What is kept so that a start need not cut and count again, and that it is never trusted."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrievers.corpus import Corpus, CorpusReader, cut_of, cut_text
from retrievers.text_cache import FILE, CutText, TextCache, text_digest
from retrievers.words import WordIndex
from tests.retrievers.memory_support import WAYS_TO_DAMAGE, find_bank, words, write_bank

FILES = {
    "projectbrief.md": f"# Brief\n{words(200, 'brief')}",
    "progress.md": f"# Progress\n\n\n{words(200, 'progress')}\n   \n## Keys\napi_key = 'q8Zr41LmXc07vTyBn52K'\n",
}


def corpus_of(folder: Path, cache: TextCache | None) -> Corpus:
    bank = find_bank(folder)
    assert bank is not None
    return CorpusReader(max_file_bytes=1_000_000, cache=cache).read(bank)


def kept(folder: Path, cache: TextCache) -> Corpus:
    corpus = corpus_of(folder, cache)
    texts = [(text.digest, cut_of(text)) for text in corpus.texts]
    cache.keep(texts, corpus.chunks, WordIndex.of_passages(corpus.chunks))
    return corpus


def never() -> CutText:
    raise AssertionError("it was known")


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    write_bank(tmp_path / "project" / "memory-bank", FILES)
    return tmp_path / "project"


def test_a_start_finds_the_same_passages_and_words(tmp_path: Path, bank: Path) -> None:
    first = TextCache(tmp_path / "index")
    before = kept(bank, first)
    first.close()
    again = TextCache(tmp_path / "index")
    for text in before.texts:
        assert again.cut(text.digest, never) == cut_of(text)
    assert corpus_of(bank, again).chunks == before.chunks == corpus_of(bank, None).chunks
    counted, found = WordIndex.of_passages(before.chunks), again.words(before.chunks)
    for question in ("brief17 and progress3", "nothing of this", ""):
        assert np.array_equal(counted.ask(question).scores, found.ask(question).scores)
        assert np.array_equal(counted.ask(question).coverage, found.ask(question).coverage)
    again.close()


def test_no_secret_is_kept(tmp_path: Path, bank: Path) -> None:
    cache = TextCache(tmp_path / "index")
    kept(bank, cache)
    cache.close()
    for path in (tmp_path / "index").iterdir():
        assert b"q8Zr41LmXc07vTyBn52K" not in path.read_bytes()


def test_a_changed_file_is_cut_anew_and_the_old_text_forgotten(tmp_path: Path, bank: Path) -> None:
    cache = TextCache(tmp_path / "index")
    before = kept(bank, cache)
    (bank / "memory-bank" / "progress.md").write_text("# Progress\nAll is new.\n")
    after = kept(bank, cache)
    assert any("All is new." in chunk.text for chunk in after.chunks)
    cache.close()
    with sqlite3.connect(tmp_path / "index" / FILE) as file:
        digests = {digest for (digest,) in file.execute("SELECT digest FROM files")}
    file.close()
    assert digests == {text.digest for text in after.texts} != {text.digest for text in before.texts}


BAD_VALUES = [
    b"",
    b"{",
    b"[]",
    b'["text", 0, [[0, 1]]]',
    b"\xff\xfe",
    b'[["a"], 0, []]',
    b'["text", null, []]',
    b'["text", 0, [[0, 1, 2, 3, 4]]]',
    b'["another text", 0, []]',
]


@pytest.mark.parametrize("value", BAD_VALUES)
def test_damaged_rows_are_made_anew(tmp_path: Path, bank: Path, value: bytes) -> None:
    cache = TextCache(tmp_path / "index")
    before = kept(bank, cache)
    with sqlite3.connect(tmp_path / "index" / FILE) as file:
        file.execute("UPDATE files SET value = ?", (value,))
        file.execute("UPDATE words SET value = ?", (value,))
    file.close()
    assert corpus_of(bank, cache).chunks == before.chunks
    assert cache.words(before.chunks).ask("brief17").scores.any()
    cache.close()


@pytest.mark.parametrize("value", BAD_VALUES[:-1])
def test_damage_with_the_right_checksum_is_made_anew_and_kept(tmp_path: Path, bank: Path, value: bytes) -> None:
    cache = TextCache(tmp_path / "index")
    before = kept(bank, cache)
    with sqlite3.connect(tmp_path / "index" / FILE) as file:
        file.execute("UPDATE files SET value = ?, checksum = ?", (value, hashlib.sha256(value).hexdigest()))
    file.close()
    assert kept(bank, cache).chunks == before.chunks
    assert all(cache.cut(text.digest, never) == cut_of(text) for text in before.texts)
    cache.close()


@pytest.mark.parametrize("damage", WAYS_TO_DAMAGE)
def test_a_damaged_file_is_made_anew(tmp_path: Path, bank: Path, damage: Callable[[Path], object]) -> None:
    write_bank(bank / "memory-bank", {"long.md": f"# Long\n{words(20_000, 'long')}"})
    cache = TextCache(tmp_path / "index")
    before = kept(bank, cache)
    cache.close()
    damage(tmp_path / "index" / FILE)
    again = TextCache(tmp_path / "index")
    assert kept(bank, again).chunks == before.chunks
    assert all(again.cut(text.digest, never) == cut_of(text) for text in before.texts)
    again.close()


def test_a_table_that_is_lost_while_it_is_used_comes_back(tmp_path: Path, bank: Path) -> None:
    cache = TextCache(tmp_path / "index")
    before = kept(bank, cache)
    with sqlite3.connect(tmp_path / "index" / FILE) as file:
        file.execute("DROP TABLE files")
    file.close()
    assert corpus_of(bank, cache).chunks == before.chunks
    kept(bank, cache)
    assert all(cache.cut(text.digest, never) == cut_of(text) for text in before.texts)
    cache.close()


def test_a_closed_cache_stays_closed(tmp_path: Path, bank: Path) -> None:
    cache = TextCache(tmp_path / "index")
    cache.close()
    assert kept(bank, cache).chunks == corpus_of(bank, None).chunks
    assert not (tmp_path / "index").exists()


def test_where_nothing_can_be_written_everything_is_made_anew(tmp_path: Path, bank: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    cache = TextCache(tmp_path / "file" / "below")
    assert kept(bank, cache).chunks == corpus_of(bank, None).chunks
    cache.close()


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=3_000))
def test_any_text_comes_back_as_it_was_cut(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    cache = TextCache(tmp_path_factory.mktemp("index"))
    cut = cut_text(text)
    digest = text_digest(text)
    cache.keep([(digest, cut)], (), WordIndex.of_passages(()))
    if "\ud800" <= max(text, default="") <= "\udfff":
        return
    assert cache.cut(digest, never) == cut
    cache.close()

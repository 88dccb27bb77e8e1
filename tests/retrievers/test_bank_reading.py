from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrievers.corpus import CorpusReader
from retrievers.reading import decode, read_text
from retrievers.types import BankFile
from tests.retrievers.memory_support import find_bank, two_core_files, write_bank


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        ("Größe 潮汐\n".encode(), "Größe 潮汐\n"),
        (codecs.BOM_UTF8 + "é\r\nb\rc".encode(), "é\nb\nc"),
        ("﻿tide\r\n潮".encode("utf-16-le"), "tide\n潮"),
        (codecs.BOM_UTF16_BE + "tide".encode("utf-16-be"), "tide"),
        (codecs.BOM_UTF32_LE + "tide".encode("utf-32-le"), "tide"),
        (b"a\xff\x00b", "a\ufffd\ufffdb"),
        (codecs.BOM_UTF16_LE + b"a\x00b", "a\ufffd"),
        (b"one\x00stray zero and one\x00more", "one\ufffdstray zero and one\ufffdmore"),
    ],
)
def test_decode(data: bytes, text: str) -> None:
    assert decode(data) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text", ["# Tide\r\n\r\nÉté\r\n", "Привет мир\nеще раз\n", "潮汐表，第一章\n正文 a b\n", "שלום עולם\nא\n", "ab"]
)
def test_utf_16_without_a_mark_is_known_by_its_zeros(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text.replace("\r\n", "\n")


@given(st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])))
def test_utf_8_is_never_taken_for_anything_else(text: str) -> None:
    assert decode(text.encode()) == text.removeprefix("\ufeff")


@given(st.binary(max_size=200))
def test_any_bytes_are_text_with_plain_line_ends(data: bytes) -> None:
    text = decode(data)
    assert "\r" not in text
    assert "\0" not in text


def first_file(workspace: Path) -> BankFile:
    bank = find_bank(workspace)
    assert bank is not None
    return bank.files[0]


def test_a_file_that_vanished_is_no_error(tmp_path: Path) -> None:
    write_bank(tmp_path / "memory-bank", two_core_files())
    file = first_file(tmp_path)
    file.path.unlink()
    assert read_text(file, max_file_bytes=1_000) is None


def test_a_file_swapped_for_a_link_or_grown_too_large_is_not_read(tmp_path: Path) -> None:
    write_bank(tmp_path / "memory-bank", two_core_files())
    (tmp_path / "secret.md").write_text("secret")
    file = first_file(tmp_path)
    assert read_text(file, max_file_bytes=5) is None
    file.path.unlink()
    file.path.symlink_to(tmp_path / "secret.md")
    assert read_text(file, max_file_bytes=1_000) is None


def test_an_empty_file_and_a_large_one_are_read_whole(tmp_path: Path) -> None:
    large = "# Log\n\n" + "The gauge was read again.\n" * 28_000
    write_bank(tmp_path / "memory-bank", {**two_core_files(), "empty.md": "", "log.md": large})
    bank = find_bank(tmp_path)
    assert bank is not None
    corpus = CorpusReader(max_file_bytes=1_000_000).read(bank)
    by_name = {text.file.path.name: text for text in corpus.texts}
    assert by_name["empty.md"].chunks == ()
    assert by_name["log.md"].whole.text == large
    assert "".join(chunk.text for chunk in by_name["log.md"].chunks) == large

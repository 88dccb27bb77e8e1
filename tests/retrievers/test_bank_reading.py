from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrievers.bank import find_bank
from retrievers.reading import decode, read_text
from retrievers.types import BankFile
from tests.retrievers.memory_support import two_core_files, write_bank


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
    ],
)
def test_decode(data: bytes, text: str) -> None:
    assert decode(data) == text


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

"""A bank is listed again only when something in it was touched, and then always."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from retrievers import touched
from retrievers.listing import DEFAULT_LIMITS, list_bank
from retrievers.touched import RACY_NS, Seen, Stamp
from retrievers.types import MemoryBank
from tests.retrievers.memory_support import two_core_files, write_bank


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """On a file system whose times are exact; see `tick`."""
    monkeypatch.setattr(touched, "RACY_NS", -RACY_NS)
    return write_bank(tmp_path / "memory-bank", {**two_core_files(), "notes/a.md": "a", "notes/deep/b.md": "b"})


def names(bank: Path) -> list[str]:
    found = list_bank(bank, bank.parent, core_only=False, limits=DEFAULT_LIMITS)
    assert isinstance(found, MemoryBank)
    return [file.name.removeprefix("memory-bank/") for file in found.files]


def tick(bank: Path) -> None:
    """Wait until the file system gives another time than it gave to what is in the bank."""
    probe = bank.parent / "probe"
    last = max(path.lstat().st_ctime_ns for path in (bank, *bank.rglob("*")))
    while True:
        probe.write_text("")
        if probe.stat().st_ctime_ns > last:
            return


def test_an_untouched_bank_is_not_listed_again(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = names(bank)

    def listed(_: object) -> Iterator[None]:
        raise AssertionError("listed again")

    monkeypatch.setattr(os, "scandir", listed)
    assert names(bank) == before == ["projectbrief.md", "progress.md", "notes/a.md", "notes/deep/b.md"]


@pytest.mark.parametrize(
    ("change", "after"),
    [
        (lambda bank: (bank / "c.md").write_text("c"), "c.md notes/a.md notes/deep/b.md"),
        (lambda bank: (bank / "notes/deep/c.md").write_text("c"), "notes/a.md notes/deep/b.md notes/deep/c.md"),
        (lambda bank: (bank / "notes/a.md").unlink(), "notes/deep/b.md"),
        (lambda bank: (bank / "notes/a.md").rename(bank / "notes/z.md"), "notes/deep/b.md notes/z.md"),
        (lambda bank: (bank / "notes/deep").rename(bank / "shallow"), "notes/a.md shallow/b.md"),
        (lambda bank: (bank / "notes").rename(bank.parent / "away"), ""),
        (lambda bank: write_bank(bank / "new", {"c.md": "c"}), "new/c.md notes/a.md notes/deep/b.md"),
    ],
)
def test_names_that_come_and_go_are_seen_at_once(bank: Path, change: Callable[[Path], object], after: str) -> None:
    names(bank)
    tick(bank)
    change(bank)
    assert names(bank) == ["projectbrief.md", "progress.md", *after.split()]


def test_an_edit_is_seen_at_once(bank: Path) -> None:
    before = list_bank(bank, bank.parent, core_only=False, limits=DEFAULT_LIMITS)
    tick(bank)
    (bank / "notes/a.md").write_text("z")
    after = list_bank(bank, bank.parent, core_only=False, limits=DEFAULT_LIMITS)
    assert after != before
    assert after == list_bank(bank, bank.parent, core_only=False, limits=DEFAULT_LIMITS)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="links need a right there")
def test_where_links_lead_is_looked_for_each_time(bank: Path) -> None:
    aside = write_bank(bank.parent / "aside", {"a.md": "a"})
    (bank / "link.md").symlink_to(aside / "way")
    (aside / "way").symlink_to(bank / "notes/a.md")
    left_out = []
    for target in (aside / "a.md", bank / "notes/a.md"):
        tick(bank)
        (aside / "way").unlink()
        (aside / "way").symlink_to(target)
        found = list_bank(bank, bank.parent, core_only=False, limits=DEFAULT_LIMITS)
        assert found is not None
        left_out.append(found.left_out)
    assert left_out == [("memory-bank/link.md: a link that leaves the bank",), ()]


def test_a_folder_that_was_just_touched_is_not_relied_upon(tmp_path: Path) -> None:
    stamp = Stamp.of(tmp_path.stat())
    touched_ns = max(stamp.mtime_ns, stamp.ctime_ns)
    assert Seen.of([(str(tmp_path), stamp)], [], touched_ns + RACY_NS) is None
    seen = Seen.of([(str(tmp_path), stamp)], [], touched_ns + RACY_NS + 1)
    assert seen is not None
    assert seen.holds()


def test_a_folder_is_not_relied_upon_for_ever(tmp_path: Path) -> None:
    stamps = ((str(tmp_path), Stamp.of(tmp_path.stat())),)
    assert Seen(stamps, time.monotonic() + 60).holds()
    assert not Seen(stamps, time.monotonic() - 1).holds()

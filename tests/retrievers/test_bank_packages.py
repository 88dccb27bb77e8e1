"""Banks of a monorepo's packages: looked for below the workspace, after all that is nearer."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from retrievers.bank import PACKAGES_REMEMBERED_S, BankFinder
from retrievers.places import MAX_FOLDERS
from retrievers.types import MemoryBank
from tests.retrievers.memory_support import find_bank, two_core_files, write_bank


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "repo"
    (folder / ".git").mkdir(parents=True)
    return folder


def root_of(bank: MemoryBank | None) -> Path | None:
    return bank.root if bank is not None else None


def touch(bank: Path, seconds: int) -> None:
    for file in bank.iterdir():
        os.utime(file, (seconds, seconds))


@pytest.mark.parametrize(
    "place", ["backend/memory-bank", "apps/web/memory-bank", "packages/x/.kilocode/rules/memory-bank"]
)
def test_a_package_below_is_found_last(repository: Path, place: str) -> None:
    bank = write_bank(repository / place, two_core_files())
    found = find_bank(repository)
    assert found is not None
    assert found.root == bank
    assert found.files[0].name == f"{place}/projectbrief.md"
    nearer = write_bank(repository / "docs", two_core_files())
    assert root_of(find_bank(repository)) == nearer


def test_of_several_packages_the_one_touched_last_is_taken(repository: Path) -> None:
    banks = [write_bank(repository / name / "memory-bank", two_core_files()) for name in ("one", "two", "three")]
    deeper = write_bank(repository / "apps" / "web" / "memory-bank", two_core_files())
    for bank, seconds in zip([*banks, deeper], (1_000, 3_000, 2_000, 9_000), strict=True):
        touch(bank, seconds)
    assert root_of(find_bank(repository)) == banks[1], "and the nearer ones come first"
    os.utime(banks[0] / "progress.md", (4_000, 4_000))
    assert root_of(find_bank(repository)) == banks[0]
    for bank in banks:
        touch(bank, 5_000)
    assert {root_of(find_bank(repository)) for _ in range(3)} == {banks[1]}, "the last by name, each time"


@pytest.mark.parametrize(
    "place",
    [
        "node_modules/pkg/memory-bank",
        "a/b/c/memory-bank",
        ".cache/memory-bank",
        "archive/memory-bank",
        "backend/Backup-2024/memory-bank",
        "backend/docs",
        "backend",
    ],
)
def test_what_is_no_package_is_passed_over(repository: Path, place: str) -> None:
    write_bank(repository / place, two_core_files())
    assert find_bank(repository) is None


def test_a_linked_package_is_not_followed(tmp_path: Path, repository: Path) -> None:
    write_bank(tmp_path / "other" / "memory-bank", two_core_files())
    (repository / "other").symlink_to(tmp_path / "other", target_is_directory=True)
    assert find_bank(repository) is None


def test_the_search_below_has_an_end(repository: Path) -> None:
    for number in range(MAX_FOLDERS + 50):
        (repository / f"p{number:04}").mkdir()
    write_bank(repository / "p0001" / "memory-bank", two_core_files())
    write_bank(repository / f"p{MAX_FOLDERS + 40:04}" / "memory-bank", two_core_files())
    assert root_of(find_bank(repository)) == repository / "p0001" / "memory-bank"


def test_the_search_below_is_remembered_for_a_moment(repository: Path) -> None:
    clock = Clock()
    finder = BankFinder(clock=clock)
    (repository / "backend").mkdir()
    assert finder.find(repository) is None
    bank = write_bank(repository / "backend" / "memory-bank", two_core_files())
    assert finder.find(repository) is None
    clock.now += PACKAGES_REMEMBERED_S
    assert root_of(finder.find(repository)) == bank
    (bank / "tasks.md").write_text("x")
    found = finder.find(repository)
    assert found is not None
    assert len(found.files) == 3, "only where it is is remembered"


def test_a_bank_that_appears_nearer_is_found_at_once(repository: Path) -> None:
    finder = BankFinder(clock=Clock())
    write_bank(repository / "backend" / "memory-bank", two_core_files())
    finder.find(repository)
    nearer = write_bank(repository / "memory-bank", two_core_files())
    assert root_of(finder.find(repository)) == nearer


def test_a_package_that_moves_is_looked_for_afresh(tmp_path: Path, repository: Path) -> None:
    finder = BankFinder(clock=Clock())
    bank = write_bank(repository / "backend" / "memory-bank", two_core_files())
    assert root_of(finder.find(repository)) == bank
    moved = repository / "server"
    shutil.move(repository / "backend", moved)
    assert root_of(finder.find(repository)) == moved / "memory-bank"
    shutil.move(moved / "memory-bank", tmp_path / "elsewhere")
    (moved / "memory-bank").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert finder.find(repository) is None

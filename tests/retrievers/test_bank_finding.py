from __future__ import annotations

import os
from pathlib import Path

import pytest

from retrievers.layouts import DEFAULT_FOLDERS
from retrievers.listing import BankLimits
from tests.retrievers.memory_support import find_bank, two_core_files, write_bank


def names(workspace: Path) -> list[str]:
    bank = find_bank(workspace)
    assert bank is not None
    return [file.name for file in bank.files]


@pytest.mark.parametrize("folder", DEFAULT_FOLDERS)
def test_each_layout_is_found(tmp_path: Path, folder: str) -> None:
    write_bank(tmp_path / folder, two_core_files())
    bank = find_bank(tmp_path)
    assert bank is not None
    assert bank.root == (tmp_path / folder).resolve()
    assert [file.path.name for file in bank.files] == ["projectbrief.md", "progress.md"]


@pytest.mark.parametrize("folder", ["Memory-Bank", "CLINE_DOCS", "Docs/Memory-Bank"])
def test_case_of_folders_is_ignored(tmp_path: Path, folder: str) -> None:
    write_bank(tmp_path / folder, {"Project-Brief.MD": "a", "active_context.txt": "b"})
    assert names(tmp_path) == [f"{folder}/Project-Brief.MD", f"{folder}/active_context.txt"]


def test_one_core_file_is_no_bank(tmp_path: Path) -> None:
    write_bank(tmp_path / "memory-bank", {"progress.md": "a", "progress.txt": "b", "readme.md": "c"})
    assert find_bank(tmp_path) is None


def test_the_commoner_layout_wins_and_an_empty_one_is_passed_over(tmp_path: Path) -> None:
    write_bank(tmp_path / "memory-bank", {"readme.md": "no core file"})
    write_bank(tmp_path / ".roo", two_core_files())
    write_bank(tmp_path / "cline_docs", two_core_files())
    assert names(tmp_path)[0] == "cline_docs/projectbrief.md"


def test_reading_order_with_extra_files_and_archives_last(tmp_path: Path) -> None:
    files = ["progress", "techContext", "archive/projectbrief", "zebra", "features/login", "activeContext"]
    files += ["projectbrief", "productContext", "systemPatterns", "backup-2024/notes", ".backups/old"]
    write_bank(tmp_path / "memory-bank", {f"{name}.md": name for name in files})
    assert [name.removeprefix("memory-bank/").removesuffix(".md") for name in names(tmp_path)] == [
        *("projectbrief", "productContext", "systemPatterns", "techContext", "activeContext", "progress"),
        *("features/login", "zebra", ".backups/old", "archive/projectbrief", "backup-2024/notes"),
    ]


@pytest.mark.parametrize(
    "folder", ["archive", "Archives", "ARCHIVED", ".archive", ".backups", "Backup", "backup-2024", "backup_old/x"]
)
def test_archives_are_known_by_their_folder_anywhere_in_the_bank(tmp_path: Path, folder: str) -> None:
    files = {f"{folder}/tasks.md": "a", f"features/{folder}/old.md": "b", "features/backlog.md": "c", "old/x.md": "d"}
    write_bank(tmp_path / "archive" / "memory-bank", {**two_core_files(), **files})
    bank = find_bank(tmp_path / "archive")
    assert bank is not None
    archived = {file.name.removeprefix("memory-bank/") for file in bank.files if file.archived}
    assert archived == {f"{folder}/tasks.md", f"features/{folder}/old.md"}
    assert [file.archived for file in bank.files] == sorted(file.archived for file in bank.files)


@pytest.mark.parametrize("folder", [".", "docs"])
def test_a_shared_folder_gives_core_files_only(tmp_path: Path, folder: str) -> None:
    write_bank(tmp_path / folder, {**two_core_files(), "readme.md": "x", "guide/tasks.md": "x"})
    assert [Path(name).name for name in names(tmp_path)] == ["projectbrief.md", "progress.md"]


def test_only_text_files_belong(tmp_path: Path) -> None:
    others = {"a.png": "x", "b.json": "{}", ".env": "K=1", "md": "x", "c.md.bak": "x", "d.md~": "x"}
    write_bank(tmp_path / "memory-bank", {**two_core_files(), **others})
    assert len(names(tmp_path)) == 2


def test_four_endings_and_no_core_name_of_another_make_a_bank(tmp_path: Path) -> None:
    files = {"brief.MD": "a", "product.mdc": "b", "tech.markdown": "c", "context.txt": "d", "decisionLog.json": "e"}
    write_bank(tmp_path / ".kilocode" / "rules" / "memory-bank", files)
    assert [Path(name).name for name in names(tmp_path)] == ["brief.MD", "product.mdc", "tech.markdown", "context.txt"]
    write_bank(tmp_path / "memory-bank", {"projectbrief.json": "a", "progress.yaml": "b"})
    assert names(tmp_path)[0].startswith(".kilocode/"), "that one holds no text"


def test_core_files_that_link_out_make_no_bank(tmp_path: Path) -> None:
    elsewhere = write_bank(tmp_path / "elsewhere", two_core_files())
    bank = tmp_path / "project" / "memory-bank"
    bank.mkdir(parents=True)
    for name in two_core_files():
        (bank / name).symlink_to(elsewhere / name)
    assert find_bank(tmp_path / "project") is None


def test_a_bank_of_very_many_entries_is_listed_in_part(tmp_path: Path) -> None:
    bank = write_bank(tmp_path / "memory-bank", {**two_core_files(), **{f"a/{n:02}.md": "x" for n in range(20)}})
    write_bank(bank, {"b/01.md": "x"})
    found = find_bank(tmp_path, limits=BankLimits(max_entries=12))
    assert found is not None
    assert len(found.files) < 12
    assert [line for line in found.left_out if "too many entries" in line] == [
        "memory-bank/a/: too many entries",
        "memory-bank/b/ and what follows: too many entries",
    ]


def test_links_that_leave_the_bank_are_refused(tmp_path: Path) -> None:
    secret = write_bank(tmp_path / "elsewhere", {"secret.md": "s", "deep/more.md": "s"})
    bank = write_bank(tmp_path / "project" / "memory-bank", {**two_core_files(), "real.md": "r", "x.env": "K=1"})
    (bank / "leak.md").symlink_to(secret / "secret.md")
    (bank / "techContext.md").symlink_to(bank / "x.env")
    (bank / "folder").symlink_to(secret / "deep", target_is_directory=True)
    (bank / "nowhere.md").symlink_to(bank / "missing.md")
    (bank / "inside.md").symlink_to(bank / "real.md")
    found = find_bank(tmp_path / "project")
    assert found is not None
    assert [file.path.name for file in found.files] == ["projectbrief.md", "progress.md", "real.md"]
    assert sorted(line.split(":")[0] for line in found.left_out) == [
        "memory-bank/folder/",
        "memory-bank/leak.md",
        "memory-bank/techContext.md",
    ]


def test_a_bank_folder_that_links_out_of_the_workspace_is_refused(tmp_path: Path) -> None:
    write_bank(tmp_path / "other", two_core_files())
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "memory-bank").symlink_to(tmp_path / "other", target_is_directory=True)
    assert find_bank(tmp_path / "project") is None


def test_a_configured_folder_cannot_climb_out(tmp_path: Path) -> None:
    write_bank(tmp_path / "other", two_core_files())
    (tmp_path / "project").mkdir()
    for folder in ("../other", str(tmp_path / "other")):
        assert find_bank(tmp_path / "project", folders=(folder,)) is None


def test_limits_leave_out_the_least_important_and_say_so(tmp_path: Path) -> None:
    write_bank(tmp_path / "memory-bank", {**two_core_files(), "a.md": "x" * 200, "b.md": "b", "c.md": "c"})
    limits = BankLimits(max_files=3, max_file_bytes=100, max_bank_bytes=1_000)
    found = find_bank(tmp_path, limits=limits)
    assert found is not None
    assert [file.path.name for file in found.files] == ["projectbrief.md", "progress.md", "b.md"]
    assert found.left_out == (
        "memory-bank/a.md: larger than 100 bytes",
        "memory-bank/c.md: more than 3 files",
    )
    small = find_bank(tmp_path, limits=BankLimits(max_bank_bytes=40))
    assert small is not None
    assert small.size_bytes <= 40


def test_a_workspace_that_is_none_gives_none(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for workspace in (tmp_path / "missing", file, loop, Path("nul\0byte"), tmp_path / ("x" * 5_000)):
        assert find_bank(workspace) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_no_file_of_the_bank(tmp_path: Path) -> None:
    bank = write_bank(tmp_path / "memory-bank", two_core_files())
    os.mkfifo(bank / "tasks.md")
    assert len(names(tmp_path)) == 2

"""Where a bank is looked for: in the workspace and the project's folders above it, in places of one's own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from config.settings import MemorySettings
from retrievers.access import Access
from retrievers.bank import BankFinder
from retrievers.layouts import DEFAULT_FOLDERS, bank_folders
from retrievers.listing import DEFAULT_LIMITS, list_bank
from retrievers.memory import MemoryService
from retrievers.types import MemoryBank
from tests.retrievers.memory_support import WordEmbedder, count_words, find_bank, two_core_files, write_bank

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "repo"
    (folder / ".git").mkdir(parents=True)
    return folder


def root_of(bank: MemoryBank | None) -> Path | None:
    return bank.root if bank is not None else None


# --- above


def test_a_subfolder_finds_the_bank_of_its_repository(repository: Path) -> None:
    bank = write_bank(repository / "memory-bank", {**two_core_files(), "features/login.md": "x"})
    workspace = repository / "apps" / "web"
    workspace.mkdir(parents=True)
    found = find_bank(workspace)
    assert found is not None
    assert (found.root, found.workspace) == (bank, workspace)
    assert [file.name for file in found.files] == [
        "../../memory-bank/projectbrief.md",
        "../../memory-bank/progress.md",
        "../../memory-bank/features/login.md",
    ]
    for file in found.files:
        assert (workspace / file.name).resolve() == file.path, "who opens the name from there gets the file"


def test_the_nearest_bank_wins_whatever_its_layout(repository: Path) -> None:
    write_bank(repository / "memory-bank", two_core_files())
    near = write_bank(repository / "apps" / ".ai", two_core_files())
    workspace = repository / "apps" / "web" / "src"
    workspace.mkdir(parents=True)
    assert root_of(find_bank(workspace)) == near
    assert root_of(find_bank(repository / "apps")) == near
    assert root_of(find_bank(repository)) == repository / "memory-bank"


def test_nothing_above_the_repository_is_looked_at(tmp_path: Path, repository: Path) -> None:
    write_bank(tmp_path / "memory-bank", two_core_files())
    (repository / "src").mkdir()
    assert find_bank(repository) is None
    assert find_bank(repository / "src") is None


def test_without_a_repository_nothing_above_the_workspace_is_looked_at(tmp_path: Path) -> None:
    write_bank(tmp_path / "memory-bank", two_core_files())
    (tmp_path / "project").mkdir()
    assert find_bank(tmp_path / "project") is None


def test_a_worktree_and_a_submodule_end_the_search_too(tmp_path: Path, repository: Path) -> None:
    write_bank(repository / "memory-bank", two_core_files())
    submodule = repository / "vendor" / "library"
    (submodule / "src").mkdir(parents=True)
    (submodule / ".git").write_text("gitdir: ../../.git/modules/library\n")
    assert find_bank(submodule / "src") is None


def test_the_home_directory_is_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "me"
    (home / ".git").mkdir(parents=True)  # dotfiles under version control
    write_bank(home / "memory-bank", two_core_files())
    write_bank(home / "code" / "memory-bank", two_core_files())
    workspace = home / "code" / "one"
    workspace.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    assert find_bank(workspace) is None
    assert find_bank(home) is not None, "it is a workspace like any other when a client says so"
    shutil.rmtree(home / "memory-bank")
    assert find_bank(home) is None, "but what lies in it are other projects"


def test_roots_bound_the_search(repository: Path) -> None:
    write_bank(repository / "memory-bank", two_core_files())
    workspace = repository / "apps" / "web"
    workspace.mkdir(parents=True)
    assert BankFinder(access=Access((repository / "apps",))).find(workspace) is None
    assert BankFinder(access=Access((repository,))).find(workspace) is not None


def test_a_link_to_a_subfolder_is_followed_first(tmp_path: Path, repository: Path) -> None:
    write_bank(repository / "memory-bank", two_core_files())
    (repository / "src").mkdir()
    (tmp_path / "short").symlink_to(repository / "src", target_is_directory=True)
    assert root_of(find_bank(tmp_path / "short")) == repository / "memory-bank"


# --- while it is used


def vanish(bank: Path) -> None:
    shutil.rmtree(bank)


def one_core_file_left(bank: Path) -> None:
    (bank / "progress.md").unlink()


def a_file_now(bank: Path) -> None:
    shutil.rmtree(bank)
    bank.write_text("no folder")


@pytest.mark.parametrize("change", [vanish, one_core_file_left, a_file_now])
def test_a_bank_that_goes_is_no_error_and_the_next_place_is_taken(
    repository: Path, change: Callable[[Path], None]
) -> None:
    finder = BankFinder()
    bank = write_bank(repository / "memory-bank", two_core_files())
    other = write_bank(repository / ".roo", two_core_files())
    assert root_of(finder.find(repository)) == bank
    change(bank)
    assert root_of(finder.find(repository)) == other
    assert list_bank(bank, repository, core_only=False, limits=DEFAULT_LIMITS) is None


async def test_two_workspaces_of_one_repository_share_its_index(tmp_path: Path, repository: Path) -> None:
    write_bank(repository / "memory-bank", two_core_files())
    (repository / "src").mkdir()
    embedder = WordEmbedder()
    service = MemoryService(vector_store_path=tmp_path / "vectors", embedder=embedder, count_tokens=count_words)
    for workspace, prefix in ((repository, "memory-bank/"), (repository / "src", "../memory-bank/")):
        found = await service.recall(workspace, "importer", 500)
        assert [passage.file for passage in found.passages] == [f"{prefix}projectbrief.md", f"{prefix}progress.md"]
        assert service.wait_indexed(10)
    assert len(service.indexes()) == 1
    assert len(embedder.embedded) == len(set(embedder.embedded))
    await service.aclose()


# --- configured


def test_places_of_ones_own_come_before_or_after_the_defaults(repository: Path) -> None:
    assert bank_folders(MemorySettings().folders) == DEFAULT_FOLDERS
    assert bank_folders(["notes", "default"]) == ("notes", *DEFAULT_FOLDERS)
    assert bank_folders(["docs", "default"])[:2] == ("docs", "memory-bank")
    assert sorted(bank_folders(["docs", "default", "docs"])) == sorted(DEFAULT_FOLDERS)
    write_bank(repository / "memory-bank", two_core_files())
    own = write_bank(repository / "Notes" / "bank", two_core_files())
    assert root_of(BankFinder(folders=bank_folders(["notes/bank", "default"])).find(repository)) == own
    assert root_of(BankFinder(folders=bank_folders(["default", "notes/bank"])).find(repository)) != own
    assert root_of(BankFinder(folders=("notes/bank",)).find(repository)) == own


@pytest.mark.parametrize("folder", ["", " ", "/abs", "../up", "a/../../b", "C:/x", "a\\b"])
def test_a_place_outside_the_project_is_refused(folder: str) -> None:
    with pytest.raises(ValueError, match="must be a folder within a project"):
        MemorySettings(folders=("default", folder))


def test_the_guide_lists_the_places_in_their_order() -> None:
    guide = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    listed = ", ".join("the folder itself" if folder == "." else f"`{folder}`" for folder in DEFAULT_FOLDERS)
    assert f"\n{listed}\n" in guide

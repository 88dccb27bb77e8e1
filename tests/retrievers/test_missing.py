from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from retrievers.mentions import Mention, mentioned_paths
from retrievers.missing import Project, check_mentions
from retrievers.repository import Repository, installed_git
from tests.retrievers.git_support import Repo, needs_git

FILES = ("src/pump.ts", "packages/frost/src/sun.ts", "memory-bank/notes/tank.md", "memory-bank/progress.md")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / "greenhouse" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    (tmp_path / "outside.ts").write_text("x", encoding="utf-8")
    return tmp_path / "greenhouse"


def check(project: Path, text: str | Sequence[Mention], repository: Repository | None = None) -> tuple[int, list[str]]:
    """How many paths were looked for, and those that were not there, sorted."""
    mentions = mentioned_paths(text) if isinstance(text, str) else text
    checked = check_mentions({project / "memory-bank/progress.md": mentions}, Project(project, project, repository))
    missing = [mention.path for found in checked.missing.values() for mention in found]
    assert checked.missing_count == len(missing)
    return checked.mentioned, sorted(missing)


@pytest.mark.parametrize(
    "text",
    ["`src/pump.ts` `src/` /src/pump.ts", "notes/tank.md", "[tank](notes/tank.md) [pump](../src/pump.ts)", "`notes/`"],
)
def test_what_is_there_from_the_project_or_the_file(project: Path, text: str) -> None:
    mentioned, missing = check(project, text)
    assert mentioned >= 1
    assert missing == []


def test_what_is_not_there(project: Path) -> None:
    text = "src/pump.ts src/gone.ts `old/` /src/gone.ts [x](../src/gone.md)"
    assert check(project, text) == (5, ["../src/gone.md", "/src/gone.ts", "old/", "src/gone.ts"])


def test_what_leads_elsewhere_is_not_looked_for(project: Path) -> None:
    assert check(project, "[up](../../outside.ts) [up](../../../etc/passwd.md) /etc/hosts.conf /gone.ts") == (0, [])


def test_the_root_of_a_tree_may_be_the_projects_own_name(project: Path) -> None:
    tree = "whatever/\n├── src/\n│   ├── pump.ts\n│   └── gone.ts\n"
    assert check(project, tree) == (3, ["whatever/src/gone.ts"])


def test_a_path_counts_once_however_many_files_mention_it(project: Path) -> None:
    mentions = mentioned_paths("src/gone.ts")
    files = {project / "memory-bank/progress.md": mentions, project / "memory-bank/notes/tank.md": mentions}
    checked = check_mentions(files, Project(project, project))
    assert (checked.mentioned, checked.missing_count, len(checked.missing)) == (1, 1, 2)


@needs_git
def test_what_is_tracked_deeper_or_ignored_is_not_missing(project: Path) -> None:
    repo = Repo(project)
    repo.commit({".gitignore": "logs/\n*.sqlite\n"})
    text = "src/sun.ts `frost/src/` logs/a.txt `logs/` data/a.sqlite src/moon.ts"
    assert check(project, text) == (6, sorted(mention.path for mention in mentioned_paths(text)))
    assert check(project, text, installed_git().open(project)) == (6, ["src/moon.ts"])
    (project / "packages/frost/src/sun.ts").unlink()
    (project / "packages/frost/src").rmdir()
    assert check(project, text, installed_git().open(project)) == (6, ["frost/src/", "src/moon.ts", "src/sun.ts"])

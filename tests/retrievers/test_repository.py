from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from retrievers import repository
from retrievers.repository import ANSWERS_REMEMBERED_S, GIT_LIMIT_S, Git, installed_git
from tests.retrievers.git_support import GIT, Repo, needs_git, posix_only, stand_in


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "project")


@needs_git
def test_a_folder_of_a_repository(repo: Repo) -> None:
    head = repo.commit({"src/a.ts": "a"})
    found = installed_git().open(repo.folder / "src")
    assert found is not None
    assert (found.top, found.head, found.is_shallow) == (repo.folder.resolve(), head, False)
    assert found.name_of(found.top / "src" / "a.ts") == "src/a.ts"
    assert found.name_of(found.top.parent) is None
    assert found.ask("ls-files") == "src/a.ts\n"
    assert found.ask("no-such-command") is None


@needs_git
def test_before_the_first_commit(repo: Repo) -> None:
    found = installed_git().open(repo.folder)
    assert found is not None
    assert found.head is None


@needs_git
def test_no_repository(tmp_path: Path) -> None:
    assert installed_git().open(tmp_path) is None
    assert installed_git().open(tmp_path / "missing") is None
    assert installed_git().open(Path("/nul\0byte")) is None


def test_no_git(tmp_path: Path) -> None:
    assert Git(None).open(tmp_path) is None
    assert Git(str(tmp_path / "git")).open(tmp_path) is None


@needs_git
def test_variables_of_a_hook_point_nowhere_else(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Repo(tmp_path / "other")
    repo.commit({"a.ts": "a"})
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    found = installed_git().open(repo.folder)
    assert found is not None
    assert found.top == repo.folder.resolve()


@needs_git
def test_answers_are_remembered_while_head_stays(repo: Repo) -> None:
    now = [0.0]
    git = Git(installed_git()._program, clock=lambda: now[0])

    def tracked() -> str | None:
        found = git.open(repo.folder)
        assert found is not None
        return found.ask("ls-files")

    repo.commit({"a.ts": "a"})
    assert tracked() == "a.ts\n"
    repo.git("rm", "--quiet", "--cached", "a.ts")
    assert tracked() == "a.ts\n"
    now[0] += ANSWERS_REMEMBERED_S
    assert tracked() == ""
    repo.git("add", "a.ts")
    git.forget()
    assert tracked() == "a.ts\n"
    repo.commit({"b.ts": "b"})
    assert tracked() == "a.ts\nb.ts\n"


@posix_only
def test_a_git_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "GIT_LIMIT_S", 0.2)
    assert stand_in(tmp_path, "exec sleep 30").open(tmp_path) is None


@needs_git
def test_all_questions_share_one_limit(repo: Repo) -> None:
    now = [0.0]
    found = Git(installed_git()._program, clock=lambda: now[0]).open(repo.folder)
    assert found is not None
    now[0] = GIT_LIMIT_S
    assert found.ask("ls-files") is None


@posix_only
@needs_git
def test_nothing_of_a_repository_is_run(repo: Repo, tmp_path: Path) -> None:
    """A downloaded project may name programs in `.git/config`; the control shows that they would be run."""
    ran = tmp_path / "ran"
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\necho x >> {ran}\n", encoding="utf-8")
    evil.chmod(0o700)
    repo.commit({"a.txt": "a", "memory-bank/progress.md": "old", ".gitattributes": "* filter=evil\n"})
    first_tree = repo.git("rev-parse", "HEAD:memory-bank")
    repo.commit({"memory-bank/progress.md": "new"})
    repo.commit({"a.txt": "b"})
    for name, value in {
        "core.fsmonitor": evil,
        "core.pager": evil,
        "core.sshCommand": evil,
        "core.askPass": evil,
        "diff.external": evil,
        "filter.evil.clean": evil,
        "filter.evil.smudge": evil,
        "log.showSignature": "true",
        "gpg.program": evil,
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::{evil}",
        "protocol.ext.allow": "always",
    }.items():
        repo.git("config", name, str(value))
    (repo.folder / ".git" / "objects" / first_tree[:2] / first_tree[2:]).unlink()
    (repo.folder / "a.txt").write_text("c", encoding="utf-8")

    found = installed_git().open(repo.folder)
    assert found is not None
    assert found.head is not None
    for question in (
        ("ls-files", "-z"),
        ("rev-parse", "--verify", "--quiet", f"{found.head}:a.txt"),
        ("rev-list", "--timestamp", found.head, "--", ":(top,literal)", ":(top,exclude,literal)memory-bank"),
        ("rev-list", "-1", "--timestamp", found.head, "--", ":(top,literal)memory-bank/progress.md"),
    ):
        found.ask(*question)
    found.ask("check-ignore", "-z", "--stdin", "--no-index", given="a\0b")
    assert not ran.exists()

    for control in (["status"], ["rev-list", "HEAD", "--", "memory-bank/progress.md"]):
        subprocess.run([GIT, *control], cwd=repo.folder, capture_output=True, check=False, timeout=30)
        assert ran.exists(), control
        ran.unlink()

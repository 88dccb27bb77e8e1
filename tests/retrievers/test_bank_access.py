"""Whose folders are read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from retrievers.access import Access
from retrievers.bank import BankFinder
from tests.retrievers.memory_support import two_core_files, write_bank


def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    owner = tmp_path.stat().st_uid
    refusal = Access(user_id=owner + 1).refusal(tmp_path)
    assert refusal is not None
    assert "another user" in refusal
    assert "`workspace_roots`" in refusal
    for mine in (Access(user_id=owner), Access(user_id=0), Access(user_id=None)):
        assert mine.refusal(tmp_path) is None
    assert Access((tmp_path,), user_id=owner + 1).refusal(tmp_path) is None, "a root that is named is allowed"
    assert Access(user_id=owner + 1).refusal(tmp_path / "missing") is None


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_above_that_belongs_to_another_user_is_not_read(tmp_path: Path) -> None:
    repository = tmp_path / "repo"
    (repository / ".git").mkdir(parents=True)
    write_bank(repository / "memory-bank", two_core_files())
    workspace = repository / "src"
    workspace.mkdir()
    os.chown(workspace, 12_345, -1)
    finder = BankFinder(access=Access(user_id=12_345))
    assert finder.find(workspace) is None
    os.chown(repository, 12_345, -1)
    assert finder.find(workspace) is not None


def test_roots_may_name_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "code").mkdir()
    access = Access((Path("~/code"),))
    assert access.refusal(tmp_path / "code" / "project") is None
    assert access.refusal(tmp_path / "other") is not None

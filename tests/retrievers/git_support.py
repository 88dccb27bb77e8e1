"""Real repositories for tests: nothing of the machine's own Git settings gets in."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from retrievers.repository import Git

GIT = shutil.which("git") or "git"
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

posix_only = pytest.mark.skipif(os.name == "nt", reason="a shell script poses as git")

DAY_S = 86_400
START_S = 1_700_000_000


def stand_in(folder: Path, script: str) -> Git:
    """A shell script in the place of `git`."""
    program = folder / "git"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o700)
    return Git(str(program))


class Repo:
    """A repository in `folder`; `now_s` is the time that its next commit claims."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.now_s = START_S
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main", *options)

    def git(self, *arguments: str) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        ours = {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Sam",
            "GIT_AUTHOR_EMAIL": "sam@greenhouse.example",
            "GIT_COMMITTER_NAME": "Sam",
            "GIT_COMMITTER_EMAIL": "sam@greenhouse.example",
            "GIT_AUTHOR_DATE": f"@{self.now_s} +0000",
            "GIT_COMMITTER_DATE": f"@{self.now_s} +0000",
        }
        done = subprocess.run(
            [GIT, *arguments],
            cwd=self.folder,
            env=kept | ours,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, files: dict[str, str], *, days_later: float = 0) -> str:
        """Write and commit `files` (name -> text); the commit's id."""
        self.now_s += round(days_later * DAY_S)
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "work")
        return self.git("rev-parse", "HEAD")

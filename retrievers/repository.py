"""Asks Git about a workspace, which may be anybody's: nothing of the repository's is run, nothing is written."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

GIT_LIMIT_S = 2.0
ANSWERS_REMEMBERED_S = 5.0
ANSWERS_REMEMBERED = 64
MAX_REMEMBERED_BYTES = 1_000_000

# A repository's own configuration may name programs to run, and a folder in it may pose as a repository.
_OPTIONS = (
    "--no-pager",
    "--no-replace-objects",
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "log.showSignature=false"),
    *("-c", "diff.external="),
    *("-c", "safe.bareRepository=explicit"),
)
# What a partial clone lacks would be fetched, by a program and from a place that the repository names.
_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
# Other variables of Git's may point it at another repository, as in a hook; these are the person's own settings.
_KEPT = frozenset({"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CEILING_DIRECTORIES"})

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Repository:
    """Where a workspace's repository is and what its HEAD was when it was opened; `head` is None before any commit.

    All questions to one of these together take `GIT_LIMIT_S` at most: `until` is when that is over.
    """

    git: Git
    top: Path
    head: str | None
    is_shallow: bool
    until: float

    def ask(self, *arguments: str, given: str = "") -> str | None:
        """What `git` prints; None if it fails or time is over. Remembered for a few seconds while HEAD stays."""
        return self.git.ask(self, arguments, given)

    def name_of(self, path: Path) -> str | None:
        """`path` as the repository calls it; None outside of it."""
        return path.relative_to(self.top).as_posix() if path.is_relative_to(self.top) else None


class Git:
    """Runs `git`; thread-safe. Blocks: belongs into a thread.

    Args:
        program: Absolute path of `git`; None where there is none, and nothing is a repository then.
        clock: In seconds.
    """

    def __init__(self, program: str | None, *, clock: Clock = time.monotonic) -> None:
        self._program = program
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, ...], tuple[str | None, float]] = {}

    def open(self, folder: Path) -> Repository | None:
        """The repository that `folder`, free of links, lies in; None if Git is missing, refuses, or finds none."""
        until = self._clock() + GIT_LIMIT_S
        done = self._run(folder, ("rev-parse", "--show-toplevel", "--is-shallow-repository", "HEAD"), until)
        # Before the first commit HEAD is no revision: Git fails, and has printed the rest by then.
        lines = done.stdout.rstrip("\n").rsplit("\n", 2) if done is not None else []
        if done is None or len(lines) != 3:  # noqa: PLR2004 - the three asked for
            return None
        top = Path(os.path.realpath(lines[0]))
        head = lines[2] if done.returncode == 0 else None
        # A repository may say that its files lie elsewhere.
        return Repository(self, top, head, lines[1] == "true", until) if folder.is_relative_to(top) else None

    def ask(self, repository: Repository, arguments: tuple[str, ...], given: str) -> str | None:
        """As `Repository.ask`."""
        key = (str(repository.top), repository.head or "", given, *arguments)
        with self._lock:
            answer, until = self._answers.get(key, (None, 0.0))
        if self._clock() < until:
            return answer
        done = self._run(repository.top, arguments, repository.until, given)
        answer = done.stdout if done is not None and done.returncode == 0 else None
        self._remember(key, answer)
        return answer

    def forget(self) -> None:
        """Ask everything anew from now on."""
        with self._lock:
            self._answers.clear()

    def _remember(self, key: tuple[str, ...], answer: str | None) -> None:
        if answer is not None and len(answer) > MAX_REMEMBERED_BYTES:
            return
        now = self._clock()
        with self._lock:
            self._answers = {known: told for known, told in self._answers.items() if told[1] > now}
            self._answers[key] = (answer, now + ANSWERS_REMEMBERED_S)
            while len(self._answers) > ANSWERS_REMEMBERED:
                self._answers.pop(next(iter(self._answers)))

    def _run(
        self, folder: Path, arguments: tuple[str, ...], until: float, given: str = ""
    ) -> subprocess.CompletedProcess[str] | None:
        left_s = until - self._clock()
        if self._program is None or left_s <= 0:
            return None
        try:
            return subprocess.run(  # noqa: S603 - no shell; the arguments are ours, paths stand behind `--` or a prefix
                [self._program, *_OPTIONS, "-C", str(folder), *arguments],
                input=given,
                capture_output=True,
                env=_environment(),
                encoding="utf-8",
                errors="surrogateescape",
                timeout=left_s,
                check=False,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except (OSError, ValueError, subprocess.SubprocessError):
            return None


def _environment() -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.upper().startswith("GIT_") or name in _KEPT
    }
    return inherited | _ENVIRONMENT


def installed_git() -> Git:
    """The `git` on the PATH, or one that finds nothing."""
    found = shutil.which("git")
    # Windows looks into the working directory first, which may be somebody's workspace.
    return Git(found if found and Path(found).is_absolute() else None)

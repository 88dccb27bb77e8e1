"""All that is known of a bank at one time: its files, what they mention in vain, and whether it has fallen behind."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from retrievers.corpus import BankText, Corpus
from retrievers.layouts import DEFAULT_FOLDERS
from retrievers.mentions import Mention, mentioned_paths
from retrievers.missing import Checked, Project, check_mentions
from retrievers.repository import Git, installed_git
from retrievers.staleness import Staleness, head_move, judge
from retrievers.types import BankStatus, MemoryBank

MISSING_SHOWN = 20
TEXTS_REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class MissingPath:
    """A path as the file mentions it, and the line, from 1, where it does so first."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class FileReport:
    """One file of a bank. `name` is posix and relative to the workspace; `age_s` counts from its last change.

    `missing_paths` are the first `MISSING_SHOWN` of `missing_count`; archived files are not searched for any.
    """

    name: str
    size_bytes: int
    modified_at: datetime
    age_s: float
    chunks: int
    core: bool
    archived: bool
    missing_paths: tuple[MissingPath, ...] = ()
    missing_count: int = 0


@dataclass(frozen=True, slots=True)
class BankReport:
    """One workspace's bank; without one, `files` is empty, `staleness` None, and `status.note` says why."""

    status: BankStatus
    files: tuple[FileReport, ...] = ()
    staleness: Staleness | None = None


class BankReporter:
    """Makes reports; thread-safe. Reads no file, but looks whether mentioned ones are there, and asks Git.

    Args:
        git: Answers for the workspace's repository.
        clock: Seconds since the epoch.
    """

    def __init__(self, *, git: Git | None = None, clock: Callable[[], float] = time.time) -> None:
        self._git = git or installed_git()
        self._clock = clock
        self._lock = threading.Lock()
        self._mentions: dict[str, tuple[Mention, ...]] = {}

    def report(self, status: BankStatus, corpus: Corpus | None) -> BankReport:
        """The report on a bank, or that there is none; `status` is of the same time. Blocks 2 s at most for Git."""
        if corpus is None:
            return BankReport(status)
        folder = described_folder(corpus.bank)
        project = Project(folder, corpus.bank.workspace, self._git.open(folder))
        mentions = {text.file.path: self._mentioned(text) for text in corpus.texts if not text.file.archived}
        checked = check_mentions(mentions, project)
        return BankReport(
            status=status,
            files=tuple(self._file(text, checked) for text in corpus.texts),
            staleness=judge(head_move(corpus, project), checked.mentioned, checked.missing_count),
        )

    def forget(self) -> None:
        """Ask Git everything anew from now on."""
        self._git.forget()

    def _mentioned(self, text: BankText) -> tuple[Mention, ...]:
        key = hashlib.sha256(text.whole.text.encode("utf-8", "replace")).hexdigest()
        with self._lock:
            known = self._mentions.get(key)
        if known is None:
            known = mentioned_paths(text.whole.text)
            with self._lock:
                self._mentions[key] = known
                while len(self._mentions) > TEXTS_REMEMBERED:
                    self._mentions.pop(next(iter(self._mentions)))
        return known

    def _file(self, text: BankText, checked: Checked) -> FileReport:
        file = text.file
        missing = checked.missing.get(file.path, ())
        return FileReport(
            name=file.name,
            size_bytes=file.size_bytes,
            modified_at=text.whole.modified_at,
            age_s=max(0.0, self._clock() - file.mtime_ns / 1e9),
            chunks=len(text.chunks),
            core=file.core,
            archived=file.archived,
            missing_paths=tuple(MissingPath(mention.path, mention.line) for mention in missing[:MISSING_SHOWN]),
            missing_count=len(missing),
        )


def described_folder(bank: MemoryBank) -> Path:
    """The project's folder that a bank describes: where its layout begins, else its workspace."""
    if bank.root == bank.workspace:
        return bank.workspace
    parts = [part.casefold() for part in bank.root.parts]
    layouts = (PurePosixPath(folder).parts for folder in DEFAULT_FOLDERS)
    for layout in sorted(layouts, key=len, reverse=True):
        if layout and parts[-len(layout) :] == list(layout):
            return bank.root.parents[len(layout) - 1]
    return bank.workspace if bank.root.is_relative_to(bank.workspace) else bank.root

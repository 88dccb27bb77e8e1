"""Whether a bank has fallen behind its project: how far HEAD moved since, and how much of what it names is gone."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from retrievers.corpus import BankText, Corpus
from retrievers.layouts import READING_ORDER, SHARED_FOLDERS, normalised
from retrievers.missing import Project
from retrievers.repository import GIT_LIMIT_S, Repository
from retrievers.types import BankFile

Verdict = Literal["fresh", "stale", "unknown"]

# Agents are told to bring activeContext up to date after each task: twenty commits are several tasks that did not.
STALE_COMMITS = 20
# A project that moves slowly: what was being worked on two weeks and a commit ago hardly is any more.
STALE_DAYS = 14.0
# One path of four that leads nowhere says that the project was rearranged; with fewer than eight, one says nothing.
STALE_MISSING_SHARE = 0.25
LEAST_MENTIONED = 8

MAX_COMMITS = 1_000
SECONDS_A_DAY = 86_400
NO_ANSWER = f"Git gave no answer within {GIT_LIMIT_S:g} s"
LATEST_S = datetime(3000, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class HeadMove:
    """What happened in the repository since `file` was last touched.

    `touched_at` is the time of the last commit that touched it, or of its last change where that is not committed.
    `commits` are those since that touched anything of the project but the bank, counted up to `MAX_COMMITS`;
    `days` is the time from `touched_at` to the newest of them. `at_least` says that both may be more, as the clone
    is shallow.
    """

    file: str
    touched_at: datetime
    commits: int
    days: float
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Staleness:
    """The verdict, and one sentence on why. `head` is None where it is not known; counts are of different paths."""

    verdict: Verdict
    reason: str
    head: HeadMove | None
    mentioned_paths: int
    missing_paths: int


def judge(head: HeadMove | str, mentioned: int, missing: int) -> Staleness:
    """The verdict over what was found; `head` is a sentence's part where HEAD's move is not known."""
    if isinstance(head, str):
        moved, stale, known = head, False, False
    else:
        moved, known = _moved(head), not head.at_least
        stale = head.commits >= STALE_COMMITS or (head.commits > 0 and head.days >= STALE_DAYS)
    stale = stale or (mentioned >= LEAST_MENTIONED and missing >= mentioned * STALE_MISSING_SHARE)
    verdict: Verdict = "stale" if stale else "fresh" if known else "unknown"
    gone = f"{missing} of {mentioned} mentioned paths no longer exist" if mentioned else "no paths are mentioned"
    return Staleness(
        verdict=verdict,
        reason=f"{verdict}: {moved}; {gone}.",
        head=None if isinstance(head, str) else head,
        mentioned_paths=mentioned,
        missing_paths=missing,
    )


def head_move(corpus: Corpus, project: Project) -> HeadMove | str:
    """How far HEAD is from the bank's active context; else why that is not known. Asks Git; never fails."""
    repository = project.repository
    active = _active_context(corpus)
    if active is None:
        return "the bank has no activeContext"
    if repository is None:
        return "Git found no repository that it may read"
    if repository.head is None:
        return "the repository has no commits"
    return _since(active, repository, repository.head, project, corpus)


def _since(active: BankText, repository: Repository, head: str, project: Project, corpus: Corpus) -> HeadMove | str:
    place = repository.name_of(project.folder)
    if place is None or (place != "." and not _holds(repository, head, place)):
        return "the repository does not hold this project"
    last = _last_touched(active, repository, head)
    if last is None:
        return NO_ANSWER
    commit, touched = last
    since = [f"{commit}..{head}"] if commit else [f"--max-age={int(touched) + 1}", head]
    names = [repository.name_of(path) for path in _paths_of_bank(corpus, project)]
    paths = [_pathspec("" if place == "." else place), *(_pathspec(name, "exclude") for name in names if name)]
    listed = repository.ask("rev-list", "--timestamp", f"--max-count={MAX_COMMITS}", *since, "--", *paths)
    if listed is None:
        return NO_ANSWER
    times = [_sane(float(line.split()[0])) for line in listed.splitlines()]
    return HeadMove(
        file=active.file.name,
        touched_at=datetime.fromtimestamp(touched, tz=UTC),
        commits=len(times),
        days=max(0.0, max(times, default=touched) - touched) / SECONDS_A_DAY,
        at_least=bool(commit) and repository.is_shallow and not _holds(repository, f"{commit}^"),
    )


def _active_context(corpus: Corpus) -> BankText | None:
    place = READING_ORDER["activecontext"]
    for text in corpus.texts:
        if text.file.core and READING_ORDER.get(normalised(text.file.path.stem)) == place:
            return text
    return None


def _last_touched(active: BankText, repository: Repository, head: str) -> tuple[str, float] | None:
    """The last commit that touched the file and its time; "" and the file's own time where it changed since; None
    where Git does not tell.

    Where a filter of Git's changes the text on its way (not only its line ends), it always seems to have changed.
    """
    modified = _sane(active.file.mtime_ns / 1e9)
    name = repository.name_of(active.file.path)
    listed = repository.ask("rev-list", "-1", "--timestamp", head, "--", _pathspec(name)) if name else ""
    if not listed:
        return None if listed is None else ("", modified)
    seconds, commit = listed.split()
    blob_id = (repository.ask("rev-parse", "--verify", "--quiet", f"{head}:{name}") or "").strip()
    if modified <= int(seconds) or _is_as_committed(active.file, blob_id):
        return commit, _sane(float(seconds))
    return "", modified


def _sane(seconds: float) -> float:
    """Files and commits may claim any time, also one that no date can hold."""
    return min(max(seconds, 0.0), LATEST_S)


def _is_as_committed(file: BankFile, blob_id: str) -> bool:
    # Hashed here, as `git status` would run the filters that the repository names.
    new_hash = hashlib.sha256 if len(blob_id) == hashlib.sha256().digest_size * 2 else hashlib.sha1
    data = _bytes_of(file)
    blobs = (b"blob %d\0%b" % (len(each), each) for each in (data, data.replace(b"\r\n", b"\n")))
    return any(new_hash(blob, usedforsecurity=False).hexdigest() == blob_id for blob in blobs)


def _bytes_of(file: BankFile) -> bytes:
    # As for its text: the file may have been swapped for a link or a pipe since it was listed.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(file.path, flags), "rb") as handle:  # noqa: PTH123 - a descriptor has no path
            return handle.read(file.size_bytes + 1)
    except OSError:
        return b""


def _holds(repository: Repository, revision: str, name: str | None = None) -> bool:
    asked = revision if name is None else f"{revision}:{name}"
    return repository.ask("rev-parse", "--verify", "--quiet", asked) is not None


def _paths_of_bank(corpus: Corpus, project: Project) -> list[Path]:
    """The bank's folder; its files where they lie among others."""
    bank = corpus.bank
    shared = bank.root == project.folder or bank.root.name in SHARED_FOLDERS
    return [file.path for file in bank.files] if shared else [bank.root]


def _pathspec(name: str, *magic: str) -> str:
    return f":({','.join(('top', 'literal', *magic))}){name}"


def _moved(head: HeadMove) -> str:
    days = round(head.days)
    span = "within a day" if days == 0 else "in 1 day" if days == 1 else f"in {days} days"
    count = "no" if head.commits == 0 else f"{head.commits}{' or more' if head.commits >= MAX_COMMITS else ''}"
    commits = f"{count} {'commit' if head.commits == 1 else 'commits'}{f' {span}' if head.commits else ''}"
    if head.at_least:
        return f"at least {commits} since {head.file} was last touched, as far back as this shallow clone goes"
    return f"{commits} since {head.file} was last touched"

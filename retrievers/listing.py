"""List the files of a bank's folder in reading order: text only, and nothing outside of it, whatever links say."""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from retrievers.layouts import READING_ORDER, normalised
from retrievers.touched import Seen, Stamp
from retrievers.types import BankFile, MemoryBank

SUFFIXES = (".md", ".mdc", ".txt", ".markdown")
CORE_FILES_OF_A_BANK = 2
LISTINGS_KEPT = 32
NAMES_KEPT = 4_096
NEVER_ENTERED = frozenset({".git", "node_modules", "__pycache__", ".venv", "venv"})

_ARCHIVE = re.compile(r"\.?(archives?|archived|backups?.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BankLimits:
    """How much of a bank is read at most; what is beyond is listed in `MemoryBank.left_out`.

    `max_entries` counts everything that is looked at, so that a folder of any size costs little time.
    """

    max_files: int = 200
    max_file_bytes: int = 1_000_000
    max_bank_bytes: int = 8_000_000
    max_entries: int = 20_000


DEFAULT_LIMITS = BankLimits()


class _Found(NamedTuple):
    """A file as it was found; `inner` is its posix path within the bank."""

    path: str
    inner: str
    stamp: Stamp


def list_bank(root: Path, workspace: Path, *, core_only: bool, limits: BankLimits) -> MemoryBank | None:
    """The bank in `root` as it is now, mostly the very same object as before if nothing changed; None if fewer than two
    core files lie there, or it cannot be listed.

    Both paths are absolute and free of links. With `core_only` nothing but the core files belongs to the bank.
    """
    last = _last(root, workspace, core_only, limits)
    if (look := last.look) is not None and look[1].holds():
        return look[0]
    started_ns = time.time_ns()
    listing = _Listing(root, _prefix(root, workspace), core_only, limits.max_entries)
    found = listing.read_folder("")
    if len({core_name(file.inner) for file in found if _is_core(file.inner)}) < CORE_FILES_OF_A_BANK:
        return None
    found += listing.read_subfolders()
    bank = _bank(root, workspace, limits, tuple(found), tuple(listing.left_out))
    files = ((file.path, file.stamp) for file in found)
    seen = None if listing.must_repeat else Seen.of(listing.folders, files, started_ns)
    last.look = None if seen is None else (bank, seen)
    return bank


@dataclass(slots=True)
class _Last:
    """A bank as it was listed last, and what holds as long as it does; None where it has to be listed each time."""

    look: tuple[MemoryBank, Seen] | None = None


@lru_cache(maxsize=LISTINGS_KEPT)
def _last(_root: Path, _workspace: Path, _core_only: bool, _limits: BankLimits) -> _Last:  # noqa: FBT001 - the key
    return _Last()


@lru_cache(maxsize=LISTINGS_KEPT)
def _bank(
    root: Path, workspace: Path, limits: BankLimits, found: tuple[_Found, ...], left_out: tuple[str, ...]
) -> MemoryBank:
    prefix = _prefix(root, workspace)
    # By name, as links within the bank lead to files that are listed anyway.
    files = {file.inner: _described(file, prefix) for file in found}
    taken: list[BankFile] = []
    refused: list[str] = []
    size_bytes = 0
    for file in sorted(files.values(), key=_place):
        if file.size_bytes > limits.max_file_bytes:
            refused.append(f"{file.name}: larger than {limits.max_file_bytes} bytes")
        elif len(taken) >= limits.max_files:
            refused.append(f"{file.name}: more than {limits.max_files} files")
        elif size_bytes + file.size_bytes > limits.max_bank_bytes:
            refused.append(f"{file.name}: the bank is larger than {limits.max_bank_bytes} bytes")
        else:
            taken.append(file)
            size_bytes += file.size_bytes
    return MemoryBank(root, workspace, tuple(taken), (*left_out, *refused))


@lru_cache(maxsize=NAMES_KEPT)
def core_name(file_name: str) -> str | None:
    """The normalised name of a core file; None for any other."""
    name = normalised(file_name.rpartition(".")[0])
    return name if name in READING_ORDER else None


def is_archive(folder_name: str) -> bool:
    """Whether a folder of that name holds what is kept, but no longer lived by: `archive`, `.backups`, `backup-1`."""
    return _ARCHIVE.fullmatch(folder_name) is not None


def _prefix(root: Path, workspace: Path) -> str:
    between = Path(os.path.relpath(root, workspace)).as_posix()
    return "" if between == "." else f"{between}/"


def _place(file: BankFile) -> tuple[bool, int, str]:
    core = core_name(file.path.name) if file.core else None
    return file.archived, len(READING_ORDER) if core is None else READING_ORDER[core], file.name


@dataclass
class _Listing:
    """One look at one folder; `inner` are posix paths within it. With `must_repeat` the stamps of `folders` and of what
    was found do not tell whether another would find the same: there are links, or something could not be read.
    """

    root: Path
    prefix: str
    core_only: bool
    max_entries: int
    left_out: list[str] = field(default_factory=list)
    folders: list[tuple[str, Stamp]] = field(default_factory=list)
    must_repeat: bool = False
    _waiting: list[str] = field(default_factory=list)
    _entries_seen: int = 0

    def read_folder(self, inner: str) -> list[_Found]:
        """The files right in the folder; its subfolders are kept for `read_subfolders`."""
        files: list[_Found] = []
        subfolders: list[str] = []
        for entry in self._entries(inner):
            if _is_folder(entry):
                if entry.name not in NEVER_ENTERED:
                    subfolders.append(f"{inner}{entry.name}/")
            elif entry.name.lower().endswith(SUFFIXES):
                file = self._file(entry, f"{inner}{entry.name}")
                if file is not None and (not self.core_only or _is_core(file.inner)):
                    files.append(file)
            elif not self.core_only and _is_linked_folder(entry):
                self.must_repeat = True
                self.left_out.append(f"{self.prefix}{inner}{entry.name}/: a linked folder is not followed")
        if not self.core_only:
            self._waiting += reversed(subfolders)
        return files

    def read_subfolders(self) -> Iterator[_Found]:
        while self._waiting:
            inner = self._waiting.pop()
            if self._entries_seen > self.max_entries:
                self.left_out.append(f"{self.prefix}{inner} and what follows: too many entries")
                return
            yield from self.read_folder(inner)

    def _entries(self, inner: str) -> list[os.DirEntry[str]]:
        folder = f"{self.root}/{inner}"
        try:
            self.folders.append((folder, Stamp.of(os.stat(folder, follow_symlinks=False))))  # noqa: PTH116 - as below
            with os.scandir(folder) as entries:
                found = list(islice(entries, self.max_entries + 1 - self._entries_seen))
        except OSError:
            self.must_repeat = True
            return []
        self._entries_seen += len(found)
        if self._entries_seen > self.max_entries:
            self.left_out.append(f"{self.prefix}{inner}: too many entries")
        return sorted(found, key=attrgetter("name"))

    def _file(self, entry: os.DirEntry[str], inner: str) -> _Found | None:
        path = entry.path
        try:
            if entry.is_symlink():
                self.must_repeat = True
                real = Path(path).resolve(strict=True)
                if not real.is_relative_to(self.root) or not real.name.lower().endswith(SUFFIXES):
                    self.left_out.append(f"{self.prefix}{inner}: a link that leaves the bank")
                    return None
                path, inner = str(real), real.relative_to(self.root).as_posix()
            info = os.stat(path, follow_symlinks=False)  # noqa: PTH116 - each request asks this of each file
        except (OSError, RuntimeError):
            self.must_repeat = True
            return None  # vanished, or a link to nothing
        if not stat.S_ISREG(info.st_mode):
            return None
        return _Found(path, inner, Stamp.of(info))


def _is_core(inner: str) -> bool:
    return "/" not in inner and core_name(inner) is not None


def _described(file: _Found, prefix: str) -> BankFile:
    return BankFile(
        path=Path(file.path),
        name=prefix + file.inner,
        size_bytes=file.stamp.size_bytes,
        mtime_ns=file.stamp.mtime_ns,
        ctime_ns=file.stamp.ctime_ns,
        inode=file.stamp.inode,
        core=_is_core(file.inner),
        archived=any(is_archive(folder) for folder in file.inner.split("/")[:-1]),
    )


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether this is a folder and no link to one."""
    try:
        return entry.is_dir(follow_symlinks=False) and not _is_junction(entry)
    except OSError:
        return False


def _is_linked_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir() and (entry.is_symlink() or _is_junction(entry))
    except OSError:
        return False


def _is_junction(entry: os.DirEntry[str]) -> bool:
    """Windows' other kind of linked folder."""
    if sys.platform == "win32":
        return entry.stat(follow_symlinks=False).st_reparse_tag == stat.IO_REPARSE_TAG_MOUNT_POINT
    return False

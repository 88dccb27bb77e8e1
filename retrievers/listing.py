"""List the files of a bank's folder in reading order: text only, and nothing outside of it, whatever links say."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from retrievers.layouts import READING_ORDER, normalised
from retrievers.types import BankFile, MemoryBank

SUFFIXES = (".md", ".mdc", ".txt", ".markdown")
CORE_FILES_OF_A_BANK = 2
FILES_KEPT = 8_192
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


def list_bank(root: Path, workspace: Path, *, core_only: bool, limits: BankLimits) -> MemoryBank | None:
    """The bank in `root` as it is now; None if fewer than two core files lie there, or it cannot be listed.

    Both paths are absolute and free of links. With `core_only` nothing but the core files belongs to the bank.
    """
    listing = _Listing(root, _prefix(root, workspace), core_only, limits.max_entries)
    top = listing.read_folder("")
    if len({core_name(file.path.name) for file in top if file.core}) < CORE_FILES_OF_A_BANK:
        return None
    # By name, as links within the bank lead to files that are listed anyway.
    files = {file.name: file for file in (*top, *listing.read_subfolders())}
    taken: list[BankFile] = []
    size_bytes = 0
    left_out = listing.left_out
    for file in sorted(files.values(), key=_place):
        if file.size_bytes > limits.max_file_bytes:
            left_out.append(f"{file.name}: larger than {limits.max_file_bytes} bytes")
        elif len(taken) >= limits.max_files:
            left_out.append(f"{file.name}: more than {limits.max_files} files")
        elif size_bytes + file.size_bytes > limits.max_bank_bytes:
            left_out.append(f"{file.name}: the bank is larger than {limits.max_bank_bytes} bytes")
        else:
            taken.append(file)
            size_bytes += file.size_bytes
    return MemoryBank(root, workspace, tuple(taken), tuple(left_out))


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
    """One look at one folder; `inner` are posix paths within it."""

    root: Path
    prefix: str
    core_only: bool
    max_entries: int
    left_out: list[str] = field(default_factory=list)
    _waiting: list[str] = field(default_factory=list)
    _entries_seen: int = 0

    def read_folder(self, inner: str) -> list[BankFile]:
        """The files right in the folder; its subfolders are kept for `read_subfolders`."""
        files: list[BankFile] = []
        subfolders: list[str] = []
        for entry in self._entries(inner):
            if _is_folder(entry):
                if entry.name not in NEVER_ENTERED:
                    subfolders.append(f"{inner}{entry.name}/")
            elif entry.name.lower().endswith(SUFFIXES):
                file = self._file(entry, f"{inner}{entry.name}")
                if file is not None and (file.core or not self.core_only):
                    files.append(file)
            elif not self.core_only and _is_linked_folder(entry):
                self.left_out.append(f"{self.prefix}{inner}{entry.name}/: a linked folder is not followed")
        if not self.core_only:
            self._waiting += reversed(subfolders)
        return files

    def read_subfolders(self) -> Iterator[BankFile]:
        while self._waiting:
            inner = self._waiting.pop()
            if self._entries_seen > self.max_entries:
                self.left_out.append(f"{self.prefix}{inner} and what follows: too many entries")
                return
            yield from self.read_folder(inner)

    def _entries(self, inner: str) -> list[os.DirEntry[str]]:
        found: list[os.DirEntry[str]] = []
        try:
            with os.scandir(f"{self.root}/{inner}") as entries:
                for entry in entries:
                    found.append(entry)
                    self._entries_seen += 1
                    if self._entries_seen > self.max_entries:
                        self.left_out.append(f"{self.prefix}{inner}: too many entries")
                        break
        except OSError:
            return []
        return sorted(found, key=lambda entry: entry.name)

    def _file(self, entry: os.DirEntry[str], inner: str) -> BankFile | None:
        path = entry.path
        try:
            if entry.is_symlink():
                real = Path(path).resolve(strict=True)
                if not real.is_relative_to(self.root) or not real.name.lower().endswith(SUFFIXES):
                    self.left_out.append(f"{self.prefix}{inner}: a link that leaves the bank")
                    return None
                path, inner = str(real), real.relative_to(self.root).as_posix()
            info = os.stat(path, follow_symlinks=False)  # noqa: PTH116 - each request asks this of each file
        except (OSError, RuntimeError):
            return None  # vanished, or a link to nothing
        if not stat.S_ISREG(info.st_mode):
            return None
        return _described(path, self.prefix, inner, (info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino))


@lru_cache(maxsize=FILES_KEPT)
def _described(path: str, prefix: str, inner: str, identity: tuple[int, int, int, int]) -> BankFile:
    size_bytes, mtime_ns, ctime_ns, inode = identity
    *folders, name = inner.split("/")
    return BankFile(
        path=Path(path),
        name=prefix + inner,
        size_bytes=size_bytes,
        mtime_ns=mtime_ns,
        ctime_ns=ctime_ns,
        inode=inode,
        core=not folders and core_name(name) is not None,
        archived=any(is_archive(folder) for folder in folders),
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

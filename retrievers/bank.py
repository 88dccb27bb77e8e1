"""Find the memory bank of a workspace and list its files in reading order."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from retrievers.layouts import DEFAULT_FOLDERS, READING_ORDER, SHARED_FOLDERS, normalised
from retrievers.types import BankFile, MemoryBank

SUFFIXES = frozenset({".md", ".mdc", ".txt", ".markdown"})
CORE_FILES_OF_A_BANK = 2
MAX_ENTRIES = 20_000

_ARCHIVE = re.compile(r"\.?(archives?|archived|backups?.*)", re.IGNORECASE)
_NEVER_ENTERED = frozenset({".git", "node_modules", "__pycache__", ".venv", "venv"})


@dataclass(frozen=True, slots=True)
class BankLimits:
    """How much of a bank is read at most; what is beyond is listed in `MemoryBank.left_out`."""

    max_files: int = 200
    max_file_bytes: int = 1_000_000
    max_bank_bytes: int = 8_000_000


DEFAULT_LIMITS = BankLimits()


def find_bank(
    workspace: Path, *, folders: tuple[str, ...] = DEFAULT_FOLDERS, limits: BankLimits = DEFAULT_LIMITS
) -> MemoryBank | None:
    """The first of `folders` under `workspace` that holds at least two core files; None if there is none.

    A workspace that does not exist, is no directory or may not be read has no bank: this never raises.
    Nothing outside the bank's folder is listed, and no bank outside the workspace is taken, whatever links
    say.
    """
    try:
        base = workspace.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return None
    names = _FolderNames()
    for folder in folders:
        root = _descend(base, folder, names)
        if root is None:
            continue
        scan = _Scan(base, root, core_only=root == base or str(PurePosixPath(folder)) in SHARED_FOLDERS)
        if scan.is_bank():
            return scan.bank(limits)
    return None


class _FolderNames:
    """The subfolders of each folder looked into, by lower-case name; each folder is listed once."""

    def __init__(self) -> None:
        self._seen: dict[Path, dict[str, str]] = {}

    def match(self, folder: Path, name: str) -> str | None:
        if folder not in self._seen:
            try:
                with os.scandir(folder) as entries:
                    found = sorted((entry.name for entry in entries if entry.is_dir()), reverse=True)
            except OSError:
                found = []
            self._seen[folder] = {found_name.casefold(): found_name for found_name in found} | {
                found_name: found_name for found_name in found
            }
        by_name = self._seen[folder]
        return by_name.get(name) or by_name.get(name.casefold())


def _descend(base: Path, folder: str, names: _FolderNames) -> Path | None:
    at = base
    for part in PurePosixPath(folder).parts:
        matched = None if part in {"..", "/"} else names.match(at, part)
        if matched is None:
            return None
        at = at / matched
    try:
        root = at.resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return root if root.is_relative_to(base) else None


@dataclass
class _Scan:
    """One look at one candidate folder."""

    base: Path
    root: Path
    core_only: bool
    left_out: list[str] = field(default_factory=list)

    def is_bank(self) -> bool:
        try:
            with os.scandir(self.root) as entries:
                found = {
                    normalised(Path(entry.name).stem)
                    for entry in entries
                    if Path(entry.name).suffix.lower() in SUFFIXES and entry.is_file()
                }
        except OSError:
            return False
        return len(found & READING_ORDER.keys()) >= CORE_FILES_OF_A_BANK

    def bank(self, limits: BankLimits) -> MemoryBank:
        files = {file.path: file for path in self._paths() if (file := self._file(path)) is not None}
        taken: list[BankFile] = []
        size_bytes = 0
        for file in sorted(files.values(), key=self._place):
            if file.size_bytes > limits.max_file_bytes:
                self.left_out.append(f"{file.name}: larger than {limits.max_file_bytes} bytes")
            elif len(taken) >= limits.max_files:
                self.left_out.append(f"{file.name}: more than {limits.max_files} files")
            elif size_bytes + file.size_bytes > limits.max_bank_bytes:
                self.left_out.append(f"{file.name}: the bank is larger than {limits.max_bank_bytes} bytes")
            else:
                taken.append(file)
                size_bytes += file.size_bytes
        return MemoryBank(self.root, self.base, tuple(taken), tuple(self.left_out))

    def _paths(self) -> Iterator[Path]:
        entries_seen = 0
        for folder, subfolders, names in os.walk(self.root):
            entries_seen += len(subfolders) + len(names)
            if entries_seen > MAX_ENTRIES:
                self.left_out.append(f"{self._name(Path(folder))}/ and what follows: too many entries")
                return
            if self.core_only:
                subfolders.clear()
            for name in [name for name in subfolders if Path(folder, name).is_symlink()]:
                self.left_out.append(f"{self._name(Path(folder, name))}/: a linked folder is not followed")
            subfolders[:] = sorted(name for name in subfolders if name not in _NEVER_ENTERED)
            for name in sorted(names):
                path = Path(folder, name)
                if path.suffix.lower() in SUFFIXES and (not self.core_only or self._core_name(path)):
                    yield path

    def _file(self, path: Path) -> BankFile | None:
        try:
            real = path.resolve(strict=True)
            info = real.stat()
        except (OSError, RuntimeError):
            return None  # vanished, or a link to nothing
        if not real.is_relative_to(self.root) or real.suffix.lower() not in SUFFIXES:
            self.left_out.append(f"{self._name(path)}: a link that leaves the bank")
            return None
        if not stat.S_ISREG(info.st_mode):
            return None
        folders = real.relative_to(self.root).parts[:-1]
        return BankFile(
            path=real,
            name=self._name(real),
            size_bytes=info.st_size,
            mtime_ns=info.st_mtime_ns,
            ctime_ns=info.st_ctime_ns,
            inode=info.st_ino,
            core=not folders and self._core_name(real) is not None,
            archived=any(_ARCHIVE.fullmatch(part) for part in folders),
        )

    def _name(self, path: Path) -> str:
        return path.relative_to(self.base).as_posix()

    @staticmethod
    def _core_name(path: Path) -> str | None:
        name = normalised(path.stem)
        return name if name in READING_ORDER else None

    def _place(self, file: BankFile) -> tuple[bool, int, str]:
        place = READING_ORDER[normalised(file.path.stem)] if file.core else len(READING_ORDER)
        return file.archived, place, file.name

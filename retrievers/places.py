"""Where a bank may lie, seen from a workspace: in the project's folders above it, in the packages below it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from retrievers.listing import NEVER_ENTERED, is_archive

MAX_ENTRIES = 20_000
MAX_FOLDERS = 500
PACKAGE_LEVELS = 2

_NO_PACKAGES = NEVER_ENTERED | {"env", "site-packages", "vendor", "third_party", "dist", "build", "target", "out"}


class Folders:
    """Subfolders by name. Each folder is listed once, and no more of them than the two limits allow."""

    def __init__(self, *, max_folders: int = MAX_FOLDERS, max_entries: int = MAX_ENTRIES) -> None:
        self._max_folders = max_folders
        self._entries_left = max_entries
        self._known: dict[Path, dict[str, str]] = {}

    def names(self, folder: Path) -> Mapping[str, str]:
        """The names of the subfolders, by themselves and in lower case; none if it cannot be listed."""
        if folder not in self._known:
            found = sorted(self._subfolders(folder), reverse=True)
            self._known[folder] = {name.casefold(): name for name in found} | {name: name for name in found}
        return self._known[folder]

    def descend(self, place: Path, names: Sequence[str]) -> Path | None:
        """The folder in `place` that `names` lead to, whatever their case; None if there is none.

        Where a link leads out of `place`, there is none.
        """
        at = place
        for name in names:
            matched = None if name in {"..", "/"} else self._match(at, name)
            if matched is None:
                return None
            at = at / matched
        try:
            root = at.resolve(strict=True)
        except (OSError, RuntimeError):
            return None
        return root if root.is_relative_to(place) else None

    def _match(self, folder: Path, name: str) -> str | None:
        # Most of the time a folder of this very name is there, and to ask for it costs less than to list a large one.
        if folder not in self._known and os.path.isdir(folder / name):  # noqa: PTH112 - `Path.is_dir` may raise
            return name
        names = self.names(folder)
        return names.get(name) or names.get(name.casefold())

    def _subfolders(self, folder: Path) -> list[str]:
        if len(self._known) >= self._max_folders:
            return []
        try:
            with os.scandir(folder) as entries:
                seen = list(islice(entries, self._entries_left))
                self._entries_left -= len(seen)
                return [entry.name for entry in seen if entry.is_dir()]
        except OSError:
            return []


def project_folders(workspace: Path) -> Iterator[Path]:
    """The folders above `workspace` up to its repository's root (the one with `.git`), the nearest first.

    None where the workspace is that root itself or lies in no repository. The home directory and the file
    system's root are no project's folders.
    """
    home = home_folder()
    above: list[Path] = []
    for folder in (workspace, *workspace.parents):
        if folder in {home, folder.parent}:
            return
        above.append(folder)
        if os.path.lexists(folder / ".git"):
            yield from above[1:]
            return


def package_folders(workspace: Path, folders: Folders) -> Iterator[list[Path]]:
    """The folders one level below `workspace`, then those two levels below, without those that hold no packages.

    There are none below the home directory and the file system's root.
    """
    level = [workspace] if workspace not in {home_folder(), workspace.parent} else []
    for _ in range(PACKAGE_LEVELS):
        level = [
            package
            for folder in level
            for name in sorted(set(folders.names(folder).values()))
            if (package := _package(folder, name)) is not None
        ]
        yield level


def home_folder() -> Path | None:
    """Where the home directory really is; None if there is none."""
    try:
        return Path.home().resolve()
    except (OSError, RuntimeError):
        return None


def _package(folder: Path, name: str) -> Path | None:
    if name.startswith(".") or name.casefold() in _NO_PACKAGES or is_archive(name):
        return None
    package = folder / name
    return None if package.is_symlink() else package

"""Find the memory bank of a workspace, the nearest first, as cheaply as every single request needs it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from retrievers.access import Access
from retrievers.layouts import DEFAULT_FOLDERS, SHARED_FOLDERS
from retrievers.listing import DEFAULT_LIMITS, BankLimits, list_bank
from retrievers.places import Folders, package_folders, project_folders
from retrievers.types import MemoryBank

PACKAGES_REMEMBERED_S = 5.0
WORKSPACES_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class _Layout:
    names: tuple[str, ...]
    shared: bool


class BankFinder:
    """Finds banks, and remembers for a few seconds what lies in the packages of a workspace; thread-safe.

    A bank is looked for in the workspace, then in the project's folders above it, the nearest first, and at
    last in the packages below. In each of these, the first of `folders` with at least two core files is it.

    Args:
        folders: Where a bank may lie in a project's folder, in order of preference.
        limits: How much of a bank is listed.
        access: Which folders above a workspace may be read; the caller asks it about the workspace itself.
        clock: In seconds.
    """

    def __init__(
        self,
        *,
        folders: tuple[str, ...] = DEFAULT_FOLDERS,
        limits: BankLimits = DEFAULT_LIMITS,
        access: Access | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._layouts = [_Layout(PurePosixPath(folder).parts, _is_shared(folder)) for folder in folders]
        self._limits = limits
        self._access = access or Access()
        self._clock = clock
        self._lock = threading.Lock()
        self._in_packages: dict[Path, tuple[Path | None, float]] = {}

    def find(self, workspace: Path) -> MemoryBank | None:
        """The workspace's bank as it is now; None if there is none.

        A workspace that does not exist, is no directory or may not be read has no bank: this never raises.
        Nothing outside the bank's folder is listed, and no bank outside the folder it was looked for in is
        taken, whatever links say.
        """
        base = _resolved(workspace)
        if base is None:
            return None
        if (bank := self._in(base, base)) is not None:
            return bank
        for place in project_folders(base):
            if self._access.refusal(place) is not None:
                break
            if (bank := self._in(place, base)) is not None:
                return bank
        return self._in_a_package(base)

    def _in(self, place: Path, workspace: Path) -> MemoryBank | None:
        known = Folders()
        for layout in self._layouts:
            root = known.descend(place, layout.names)
            if root is None:
                continue
            if (bank := self._list(root, workspace, core_only=layout.shared or root == place)) is not None:
                return bank
        return None

    def _in_a_package(self, workspace: Path) -> MemoryBank | None:
        with self._lock:
            root, until = self._in_packages.get(workspace, (None, -1.0))
        if self._clock() < until:
            if root is None:
                return None
            # A link may have taken its place since.
            if root == _resolved(root) and (bank := self._list(root, workspace)) is not None:
                return bank
        bank = self._newest_in_packages(workspace)
        with self._lock:
            self._in_packages.pop(workspace, None)
            self._in_packages[workspace] = (bank.root if bank else None, self._clock() + PACKAGES_REMEMBERED_S)
            while len(self._in_packages) > WORKSPACES_REMEMBERED:
                self._in_packages.pop(next(iter(self._in_packages)))
        return bank

    def _newest_in_packages(self, workspace: Path) -> MemoryBank | None:
        """Of the nearest banks below, the one of which a core file was touched last."""
        known = Folders()
        # A folder that holds other things too says nothing by its name: any package may have such files in it.
        telling = [layout.names for layout in self._layouts if not layout.shared]
        first_names = {names[0].casefold() for names in telling}
        for level in package_folders(workspace, known):
            found: dict[Path, MemoryBank] = {}
            for package in level:
                if first_names.isdisjoint(known.names(package)):
                    continue
                for names in telling:
                    root = known.descend(package, names)
                    if root is not None and (bank := self._list(root, workspace)) is not None:
                        found[bank.root] = bank
                        break
            if found:
                return max(found.values(), key=lambda bank: (_touched_ns(bank), str(bank.root)))
        return None

    def _list(self, root: Path, workspace: Path, *, core_only: bool = False) -> MemoryBank | None:
        return list_bank(root, workspace, core_only=core_only, limits=self._limits)


def _resolved(folder: Path) -> Path | None:
    try:
        return folder.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return None


def _is_shared(folder: str) -> bool:
    return str(PurePosixPath(folder)) in SHARED_FOLDERS


def _touched_ns(bank: MemoryBank) -> int:
    return max((file.mtime_ns for file in bank.files if file.core), default=0)

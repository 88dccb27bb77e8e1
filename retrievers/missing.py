"""Which of the paths that a bank mentions are not in the workspace."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from retrievers.mentions import Mention
from retrievers.repository import Repository

MAX_CHECKED = 5_000
MAX_LEVELS = 64


@dataclass(frozen=True, slots=True)
class Project:
    """The folders that a bank's paths may count from: the project it describes, the workspace, the repository.

    All are absolute and free of links; `repository` is None where Git knows none.
    """

    folder: Path
    workspace: Path
    repository: Repository | None = None

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders themselves, the most likely first."""
        top = (self.repository.top,) if self.repository is not None else ()
        return tuple(dict.fromkeys((self.folder, self.workspace, *top)))


@dataclass(frozen=True, slots=True)
class Checked:
    """How many different paths were looked for, and for each file's folder and name the mentions that led nowhere."""

    mentioned: int
    missing: Mapping[Path, tuple[Mention, ...]]

    @property
    def missing_count(self) -> int:
        """How many different paths are missing."""
        return len({mention.path for mentions in self.missing.values() for mention in mentions})


def check_mentions(mentions: Mapping[Path, Sequence[Mention]], project: Project) -> Checked:
    """Look for all mentioned paths; `mentions` are by the absolute path of the file they stand in.

    A path is there if it leads somewhere from one of `project.roots` or from a folder above its file, or, with Git,
    if it is the end of a tracked file's path; one that Git ignores is made by a build and counts as there. Paths
    that lead out of the project are not looked for. At most `MAX_CHECKED` are.
    """
    search = _Search(project)
    seen: set[str] = set()
    absent: list[tuple[Path, Mention]] = []
    known: dict[tuple[Path, Mention], bool | None] = {}
    for file, mention in islice(_each(mentions), MAX_CHECKED):
        key = (file.parent, replace(mention, line=0))
        if key not in known:
            known[key] = search.finds(mention, file.parent)
        if known[key] is not None:
            seen.add(mention.path)
        if known[key] is False:
            absent.append((file, mention))
    excused = _excused([mention for _, mention in absent], project)
    missing: dict[Path, list[Mention]] = {}
    for file, mention in absent:
        if mention.path not in excused:
            missing.setdefault(file, []).append(mention)
    return Checked(len(seen), {file: tuple(found) for file, found in missing.items()})


def _each(mentions: Mapping[Path, Sequence[Mention]]) -> Iterator[tuple[Path, Mention]]:
    return ((file, mention) for file, found in mentions.items() for mention in found)


class _Search:
    """Looks for one path after the other; nothing outside of the project is looked at."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._roots = tuple(str(root) for root in project.roots)
        self._inside = tuple(root.rstrip(os.sep) + os.sep for root in self._roots)
        self._bases: dict[Path, tuple[str, ...]] = {}

    def finds(self, mention: Mention, beside: Path) -> bool | None:
        """None for a path that leads out of the project, or from the root of a machine rather than of the project."""
        bases = self._bases_of(beside)
        first, slash, _ = mention.path.lstrip("/").partition("/")
        rooted = mention.path.startswith("/")
        if rooted and not (slash and any(os.path.lexists(f"{base}/{first}") for base in bases)):
            return None
        inside = False
        for path in _readings(mention):
            for base in bases:
                candidate = os.path.normpath(f"{base}/{path}")
                if candidate.startswith(self._inside) or candidate in self._roots:
                    inside = True
                    if os.path.lexists(candidate):
                        return True
        return False if inside else None

    def _bases_of(self, beside: Path) -> tuple[str, ...]:
        if beside not in self._bases:
            above = (str(folder) for folder in (beside, *beside.parents) if folder.is_relative_to(self._project.folder))
            self._bases[beside] = tuple(dict.fromkeys((*self._roots, *above)))
        return self._bases[beside]


def _readings(mention: Mention) -> tuple[str, ...]:
    readings = (mention.path, mention.below_root) if mention.below_root else (mention.path,)
    return tuple(path.lstrip("/") for path in readings)


def _excused(absent: Sequence[Mention], project: Project) -> set[str]:
    """The paths that Git tracks somewhere deeper, or ignores."""
    repository = project.repository
    if repository is None or not absent:
        return set()
    by_end: dict[str, set[str]] = {}
    for mention in absent:
        for path in _readings(mention):
            by_end.setdefault(path.replace("../", ""), set()).add(mention.path)
    ends = by_end.keys() - {""}
    found = _ends_of_tracked(repository, ends) | _ignored(repository, project.folder, ends)
    return {path for end in found for path in by_end[end]}


def _ends_of_tracked(repository: Repository, ends: set[str]) -> set[str]:
    """Those of `ends` with which the path of a tracked file or folder ends that is really there."""
    names = {_name(end) for end in ends}
    most_parts = max((end.count("/") for end in ends), default=0) + 1
    found: set[str] = set()
    for path in _tracked(repository):
        if _name(path) not in names:
            continue
        parts = path.rstrip("/").split("/")[-most_parts:]
        mark = "/" if path.endswith("/") else ""
        fitting = {"/".join(parts[start:]) + mark for start in range(len(parts))} & (ends - found)
        if fitting and os.path.lexists(repository.top / path):
            found |= fitting
    return found


def _name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _tracked(repository: Repository) -> Iterator[str]:
    """The tracked files and the folders they lie in, from the repository's top; folders end with `/`."""
    folders: set[str] = set()
    for path in (repository.ask("ls-files", "-z") or "").split("\0"):
        if path.count("/") > MAX_LEVELS:
            continue
        yield path
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            yield f"{folder}/"
            folder = folder.rpartition("/")[0]


def _ignored(repository: Repository, folder: Path, paths: set[str]) -> set[str]:
    prefix = repository.name_of(folder)
    if prefix is None:
        return set()
    named = {path if prefix == "." else f"{prefix}/{path}": path for path in sorted(paths)}
    answer = repository.ask("check-ignore", "-z", "--stdin", "--no-index", given="\0".join(named)) or ""
    return {named[name] for name in answer.split("\0") if name in named}

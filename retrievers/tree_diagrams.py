"""The files in the tree diagrams of a text, as `tree` prints them and people draw them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

_BRANCH = re.compile(r"([\s│|]*)(?:[├└]|\|--|`--|\+--)[─-]*\s*(.*)", re.DOTALL)
_ONLY_TRUNKS = re.compile(r"[\s│|]*[│|][\s│|]*")


@dataclass(frozen=True, slots=True)
class Drawn:
    """One entry: its line, from 0, and its path below `root`, which may be empty. Folders end with `/`."""

    line: int
    path: str
    root: str


@dataclass(slots=True)
class _Entry:
    line: int
    column: int
    name: str


@dataclass(slots=True)
class _Tree:
    root: str
    entries: list[_Entry] = field(default_factory=list)


def drawn_paths(lines: Sequence[str], is_file: Callable[[str], bool]) -> Iterator[Drawn]:
    """The entries of all trees of files in `lines`. `is_file` says whether a name is that of a file.

    A tree of which less than half the entries are called like files and folders draws something else (classes,
    components), and one that grows from an absolute path lies elsewhere: both give nothing.
    """
    for tree in _trees(lines):
        told = sum(entry.name.endswith("/") or is_file(entry.name) for entry in tree.entries)
        if told * 2 >= len(tree.entries) and not tree.root.startswith(("/", "~")):
            yield from _drawn(tree, is_file)


def branch_of(line: str) -> tuple[int, str] | None:
    """Column and name of a branch of a tree; None for any other line."""
    found = _BRANCH.match(line)
    if found is None:
        return None
    name = found[2].split(maxsplit=1)
    return len(found[1]), name[0].rstrip(",;:") if name else ""


def _trees(lines: Sequence[str]) -> Iterator[_Tree]:
    tree: _Tree | None = None
    above = ""
    for number, line in enumerate(lines):
        branch = branch_of(line)
        if branch is not None:
            if tree is None:
                tree = _Tree(_root(above))
            tree.entries.append(_Entry(number, *branch))
        elif tree is not None and _ONLY_TRUNKS.fullmatch(line) is None:
            yield tree
            tree = None
        above = line
    if tree is not None:
        yield tree


def _root(line: str) -> str:
    first = line.split(maxsplit=1)[:1]
    name = first[0].strip("*`:") if first else ""
    return name if name.endswith("/") and name not in {"./", "../"} else ""


def _drawn(tree: _Tree, is_file: Callable[[str], bool]) -> Iterator[Drawn]:
    above: list[tuple[int, str]] = []
    for entry, after in zip(tree.entries, [*tree.entries[1:], None], strict=True):
        while above and above[-1][0] >= entry.column:
            above.pop()
        name = entry.name.rstrip("/")
        path = f"{above[-1][1] if above else ''}{name}"
        has_children = after is not None and after.column > entry.column
        if entry.name.endswith("/") or has_children:
            # What is below a folder without a name of its own (`...`) has no path either: its name stays in there.
            above.append((entry.column, f"{path}/"[-1000:]))
            yield Drawn(entry.line, f"{path}/", tree.root)
        elif is_file(name):
            yield Drawn(entry.line, path, tree.root)

"""Where memory banks lie in the wild, and what their core files are called."""

from __future__ import annotations

import re
from collections.abc import Iterable

DEFAULT_FOLDERS = (
    "memory-bank",
    ".kilocode/rules/memory-bank",
    "cline_docs",
    ".",
    "memory_bank",
    ".memory-bank",
    "docs/memory-bank",
    "docs",
    ".clinerules/memory-bank",
    ".cursor/memory-bank",
    "memory",
    ".context",
    ".github/memory-bank",
    "memorybank",
    ".claude/memory-bank",
    ".roo/memory-bank",
    ".roo",
    ".ai",
    ".agent/memory",
)
"""Where banks are found in the wild, the most common first; relative to a project's folder, case is ignored."""

DEFAULTS_ENTRY = "default"
"""Stands for `DEFAULT_FOLDERS` in a list of folders."""

SHARED_FOLDERS = frozenset({".", "docs"})
"""Folders that hold other things too: only the core files themselves belong to the bank there."""

READING_ORDER = {
    "projectbrief": 0,
    "brief": 0,
    "productcontext": 1,
    "product": 1,
    "systempatterns": 2,
    "architecture": 2,
    "techcontext": 3,
    "tech": 3,
    "activecontext": 4,
    "context": 4,
    "progress": 5,
    "decisionlog": 6,
    "tasks": 7,
}
"""Core files by normalised name, with their place in reading order."""


def bank_folders(entries: Iterable[str]) -> tuple[str, ...]:
    """`entries` with `DEFAULTS_ENTRY` replaced by what it stands for; each folder once, where it comes first."""
    folders = (name for entry in entries for name in (DEFAULT_FOLDERS if entry == DEFAULTS_ENTRY else (entry,)))
    return tuple(dict.fromkeys(folders))


def normalised(stem: str) -> str:
    """`Active-Context`, `active_context` and `activeContext` are one name."""
    return re.sub(r"[-_ ]", "", stem).casefold()

"""README and docs/ as the tests of them see them: pages, and the fenced blocks in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "training" / "README.md")
FENCE = re.compile(r"^(`{3,})(\w*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block; `line` is where its text begins."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"

    @property
    def commands(self) -> Iterator[str]:
        """What stands behind `$ `, without a comment in the same line."""
        for line in self.text.splitlines():
            if line.startswith("$ "):
                yield line.removeprefix("$ ").partition("  #")[0].strip()


def blocks(*languages: str) -> list[Block]:
    """All blocks of these languages; all there are where none is named."""
    return [
        Block(page, text.count("\n", 0, found.start(3)) + 1, found[2], found[3])
        for page in PAGES
        for text in [page.read_text(encoding="utf-8")]
        for found in FENCE.finditer(text)
        if not languages or found[2] in languages
    ]


def each(found: list[Block]) -> pytest.MarkDecorator:
    """One test for each block, named by its place."""
    return pytest.mark.parametrize("block", [pytest.param(block, id=block.place) for block in found])

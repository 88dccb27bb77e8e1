"""The outline of a Markdown text: sections with their breadcrumbs, blind to what stands in code fences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_BLANKS = " \t"
# Of lines without the blanks at their end: a pattern that looks for these as well tries each blank within a line.
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?")
_UNDERLINE = re.compile(r" {0,3}=+[ \t]*")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t]*(.*)")
_MARKDOWN = frozenset({"markdown", "md", "mdc", "mdx"})
_MAX_HEADING_CHARS = 120


@dataclass(frozen=True, slots=True)
class Section:
    """Lines `start` to `stop` (from 0, without `stop`) under the headings of `path`."""

    path: tuple[str, ...]
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class _Fence:
    mark: str
    info: str

    def closes(self, opener: _Fence) -> bool:
        return not self.info and self.mark.startswith(opener.mark)

    @property
    def opens_named(self) -> bool:
        return bool(self.info)


def sections(lines: Sequence[str]) -> list[Section]:
    """Consecutive sections that cover all lines; the first has an empty path if text stands above any
    heading.
    """
    fenced = fenced_lines(lines)
    found: list[Section] = []
    stack: list[tuple[int, str]] = []
    start = 0
    for number in range(len(lines)):
        heading = None if fenced[number] else _heading(lines, number)
        if heading is None:
            continue
        if number > start:
            found.append(Section(tuple(title for _, title in stack), start, number))
        start = number
        while stack and stack[-1][0] >= heading[0]:
            stack.pop()
        stack.append(heading)
    if start < len(lines):
        found.append(Section(tuple(title for _, title in stack), start, len(lines)))
    return found


def fenced_lines(lines: Sequence[str]) -> list[bool]:
    """For each line, whether it belongs to a code fence, its two marks included.

    A fence that is never closed is no fence, nor is one that would have to swallow a heading or the start of
    another fence to find its end: somebody forgot the closing mark there.
    """
    inside = [False] * len(lines)
    fences = {number: fence for number, line in enumerate(lines) if (fence := _fence(line)) is not None}
    marks = list(fences)
    unclosed: set[str] = set()
    at = 0
    while at < len(marks):
        end = _closing(lines, fences, marks, at, unclosed)
        if end is None:
            at += 1
            continue
        for number in range(marks[at], marks[end] + 1):
            inside[number] = True
        at = end + 1
    return inside


def _closing(
    lines: Sequence[str], fences: dict[int, _Fence], marks: list[int], at: int, unclosed: set[str]
) -> int | None:
    """The place in `marks` where the fence that opens at `at` ends; `unclosed` collects what nothing ends any more."""
    opener = fences[marks[at]]
    is_markdown = opener.info.split(" ")[0].casefold() in _MARKDOWN
    # Else many Markdown fences that nobody closed would be searched to the file's end each.
    if is_markdown and any(opener.mark.startswith(mark) for mark in unclosed):
        return None
    for end in range(at + 1, len(marks)):
        fence = fences[marks[end]]
        if fence.closes(opener):
            swallows = not is_markdown and _holds_heading(lines, marks[at] + 1, marks[end])
            return None if swallows else end
        if fence.opens_named and fence.mark == opener.mark and not is_markdown:
            return None
    if is_markdown:
        unclosed.add(opener.mark)
    return None


def _holds_heading(lines: Sequence[str], start: int, stop: int) -> bool:
    """Whether a line is rather a heading than a comment: `##` after a blank line, `#` between two."""
    for number in range(start + 1, stop):
        heading = _heading(lines, number) if lines[number].startswith("#") else None
        if heading is None or lines[number - 1].strip():
            continue
        if heading[0] > 1 or (number + 1 < stop and not lines[number + 1].strip()):
            return True
    return False


def _fence(line: str) -> _Fence | None:
    found = _FENCE.fullmatch(line.rstrip("\n").rstrip(_BLANKS))
    if found is None or (found[1][0] == "`" and "`" in found[2]):
        return None
    return _Fence(found[1], found[2])


def _heading(lines: Sequence[str], number: int) -> tuple[int, str] | None:
    line = lines[number].rstrip("\n")
    found = _HEADING.fullmatch(line.rstrip(_BLANKS)) if "#" in line else None
    if found is not None:
        title = _without_closing_marks(found[2] or "")
        return (len(found[1]), title[:_MAX_HEADING_CHARS]) if title.strip("# \t") else None
    underlined = number + 1 < len(lines) and _UNDERLINE.fullmatch(lines[number + 1].rstrip("\n"))
    if underlined and line.strip() and (number == 0 or not lines[number - 1].strip()):
        return 1, line.strip()[:_MAX_HEADING_CHARS]
    return None


def _without_closing_marks(title: str) -> str:
    bare = title.rstrip("#")
    return bare.rstrip(_BLANKS) if bare.endswith(tuple(_BLANKS)) else title

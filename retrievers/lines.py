"""A passage's lines in groups of about a sentence or two: small enough that one fact is not averaged away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from retrievers.chunking import SEPARATOR, estimate_tokens
from retrievers.types import Passage

GROUP_TOKENS = 40
# A line longer than that is prose, and is taken sentence by sentence; a longer sentence is cut between words.
LONG_LINE_TOKENS = 60
GAP = "…"
_ABOVE_CHARS = 120

_HEADING = re.compile(r" {0,3}#{1,6} ")
_ITEM = re.compile(r"(?:[-*+]|\d+[.)])\s|\*\*")
_WORD = re.compile(r"\S+\s*|\s+")
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|(?<=[。！？；])")


@dataclass(frozen=True, slots=True)
class LineGroup:
    """Neighbouring lines of a passage, blank ones left out, or sentences of one long line or parts of such; lines
    count from 1 in the file. `above` are the heading and the list item that they stand under in the passage.
    """

    text: str
    first_line: int
    last_line: int
    above: tuple[str, ...] = ()


def line_groups(passage: Passage) -> list[LineGroup]:
    """All of the passage that is not blank, in order."""
    return list(_under_their_headings(_grouped(_units(passage))))


def group_texts(passage: Passage) -> list[str]:
    """What is embedded: each group of lines below what it stands under, at least the passage's last heading."""
    heading = passage.heading.rpartition(SEPARATOR)[2]
    return [
        "\n".join((*(group.above or ((heading,) if heading else ())), group.text)) for group in line_groups(passage)
    ]


def excerpt(passage: Passage, groups: Sequence[LineGroup], wanted: Iterable[int]) -> Passage:
    """The passage with only the `wanted` ones of its groups; `…` stands for what is left out between them."""
    kept = sorted(wanted)
    if len(kept) == len(groups):
        return passage
    parts: list[str] = []
    for at, number in enumerate(kept):
        if at and number != kept[at - 1] + 1:
            parts.append(GAP)
        parts.append(groups[number].text)
    first, last = groups[kept[0]].first_line, groups[kept[-1]].last_line
    return replace(passage, text="\n".join(parts) + "\n", start_line=first, end_line=last)


def _grouped(units: Iterator[LineGroup]) -> Iterator[LineGroup]:
    group: list[LineGroup] = []
    tokens = 0
    for unit in units:
        more = estimate_tokens(unit.text)
        if group and _begins_anew(unit, tokens, more, after_heading=_is_heading(group[-1].text)):
            yield _joined(group)
            group, tokens = [], 0
        group.append(unit)
        tokens += more
    if group:
        yield _joined(group)


def _begins_anew(unit: LineGroup, tokens: int, more: int, *, after_heading: bool) -> bool:
    """Whether a group of so many tokens ends before `unit`: it is full, or about half full and something new begins.
    A heading is never the last of a group while it fits.
    """
    if after_heading:
        return tokens + more > LONG_LINE_TOKENS
    if _is_heading(unit.text) or tokens + more > GROUP_TOKENS:
        return True
    return tokens * 2 >= GROUP_TOKENS and _ITEM.match(unit.text) is not None


def _is_heading(line: str) -> bool:
    return "#" in line and _HEADING.match(line) is not None


def _under_their_headings(groups: Iterator[LineGroup]) -> Iterator[LineGroup]:
    heading = item = ""
    for group in groups:
        lines = group.text.split("\n")
        is_nested = lines[0][:1].isspace()
        above = () if _is_heading(lines[0]) else tuple(line for line in (heading, item if is_nested else "") if line)
        yield LineGroup(group.text, group.first_line, group.last_line, above)
        for line in lines:
            if _is_heading(line):
                heading, item = line.strip("# ")[:_ABOVE_CHARS], ""
            elif _ITEM.match(line):
                item = line[:_ABOVE_CHARS]


def _joined(units: list[LineGroup]) -> LineGroup:
    text = "\n".join(unit.text for unit in units)
    return LineGroup(text, units[0].first_line, units[-1].last_line)


def _units(passage: Passage) -> Iterator[LineGroup]:
    for number, line in enumerate(passage.text.split("\n"), passage.start_line):
        if not line.strip():
            continue
        if estimate_tokens(line) <= LONG_LINE_TOKENS:
            yield LineGroup(line, number, number)
            continue
        for sentence in _SENTENCE_END.split(line):
            yield from (LineGroup(part, number, number) for part in _parts(sentence) if part.strip())


def _parts(sentence: str) -> Iterator[str]:
    """The sentence, or what is as long as a group of it at a time."""
    if estimate_tokens(sentence) <= LONG_LINE_TOKENS:
        yield sentence
        return
    part = ""
    for word in _words(sentence):
        if part and estimate_tokens(part + word) > GROUP_TOKENS:
            yield part.rstrip()
            part = ""
        part += word
    yield part.rstrip()


def _words(sentence: str) -> Iterator[str]:
    """Words with the blanks after them; one longer than a group, as in scripts without spaces, by characters."""
    for word in _WORD.findall(sentence):
        if estimate_tokens(word) <= GROUP_TOKENS:
            yield word
        else:
            yield from word

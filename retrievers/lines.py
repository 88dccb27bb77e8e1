"""A passage's lines in groups of about a sentence or two: small enough that one fact is not averaged away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

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


class LineGroup(NamedTuple):
    """Neighbouring lines of a passage, blank ones left out, or sentences of one long line or parts of such; lines
    count from 1 in the file. `above` are the heading and the list item that they stand under in the passage.
    """

    text: str
    first_line: int
    last_line: int
    above: tuple[str, ...] = ()


def line_groups(passage: Passage) -> list[LineGroup]:
    """All of the passage that is not blank, in order."""
    groups: list[LineGroup] = []
    heading = item = ""
    lines: list[str] = []
    above: tuple[str, ...] = ()
    first = last = tokens = 0
    after_heading = False
    for line, number, more in _units(passage):
        is_heading = _is_heading(line)
        is_item = _ITEM.match(line) is not None
        begins = is_heading or (is_item and tokens * 2 >= GROUP_TOKENS)
        if lines and _is_full(tokens, more, begins=begins, after_heading=after_heading):
            groups.append(LineGroup("\n".join(lines), first, last, above))
            lines, tokens = [], 0
        if not lines:
            first = number
            above = () if is_heading else tuple(each for each in (heading, item if line[0].isspace() else "") if each)
        lines.append(line)
        last, tokens, after_heading = number, tokens + more, is_heading
        if is_heading:
            heading, item = line.strip("# ")[:_ABOVE_CHARS], ""
        elif is_item:
            item = line[:_ABOVE_CHARS]
    if lines:
        groups.append(LineGroup("\n".join(lines), first, last, above))
    return groups


def group_texts(passage: Passage) -> list[str]:
    """What is embedded: each group of lines below what it stands under, at least the passage's last heading."""
    heading = passage.heading.rpartition(SEPARATOR)[2]
    return [
        "\n".join((*(group.above or ((heading,) if heading else ())), group.text)) for group in line_groups(passage)
    ]


def excerpt(
    passage: Passage,
    groups: Sequence[LineGroup],
    wanted: Iterable[int],
    *,
    tokens: int | None = None,
    score: float | None = None,
) -> Passage:
    """The passage with only the `wanted` ones of its groups; `…` stands for what is left out between them."""
    kept = sorted(wanted)
    if len(kept) == len(groups):
        return replace(passage, tokens=tokens, score=score)
    parts: list[str] = []
    for at, number in enumerate(kept):
        if at and number != kept[at - 1] + 1:
            parts.append(GAP)
        parts.append(groups[number].text)
    first, last = groups[kept[0]].first_line, groups[kept[-1]].last_line
    text = "\n".join(parts) + "\n"
    return replace(passage, text=text, start_line=first, end_line=last, tokens=tokens, score=score)


def _is_full(tokens: int, more: int, *, begins: bool, after_heading: bool) -> bool:
    """Whether a group of so many tokens ends before a line of `more`: there is no room for it, or something new
    `begins` with it. A heading is never the last of a group while the next line fits.
    """
    if after_heading:
        return tokens + more > LONG_LINE_TOKENS
    return begins or tokens + more > GROUP_TOKENS


def _is_heading(line: str) -> bool:
    return "#" in line and _HEADING.match(line) is not None


def _units(passage: Passage) -> Iterator[tuple[str, int, int]]:
    """Lines that are not blank, or sentences of a long one or parts of such, with line number and tokens."""
    for number, line in enumerate(passage.text.split("\n"), passage.start_line):
        if not line or line.isspace():
            continue
        tokens = estimate_tokens(line)
        if tokens <= LONG_LINE_TOKENS:
            yield line, number, tokens
            continue
        for sentence in _SENTENCE_END.split(line):
            yield from ((part, number, estimate_tokens(part)) for part in _parts(sentence) if part.strip())


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

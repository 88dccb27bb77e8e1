"""Cut a Markdown text into passages-to-be: along headings, of one to two paragraphs' size, losing no line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile

from retrievers.headings import Section, fenced_lines, sections
from retrievers.types import TokenCounter

MIN_TOKENS = 150
MAX_TOKENS = 300
SEPARATOR = " > "

_ITEM = re.compile(r" {0,3}(?:[-*+]|\d+[.)])[ \t]")
_BREAKS = re.compile(r"[.!?;。！？；]\s*|\s+")


@dataclass(frozen=True, slots=True)
class Chunk:
    """`text` is lines `start_line` to `end_line` (from 1, both included) with their line ends.

    Only a line longer than a whole chunk is cut; its parts carry the same line number.
    """

    text: str
    heading: str
    start_line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class _Piece:
    path: tuple[str, ...]
    start: int
    stop: int
    tokens: int


def estimate_tokens(text: str) -> int:
    """A quarter of the UTF-8 bytes, rounded up: near enough to size chunks, and far cheaper."""
    size_bytes = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
    return (size_bytes + 3) // 4


def chunk_markdown(
    text: str,
    *,
    min_tokens: int = MIN_TOKENS,
    max_tokens: int = MAX_TOKENS,
    count_tokens: TokenCounter = estimate_tokens,
) -> list[Chunk]:
    """Chunks whose texts joined are `text`, in order; none for an empty text.

    Sections below `min_tokens` are merged with their neighbours, those above `max_tokens` split at blank
    lines outside of code fences, else before a list item, else at any line. `heading` is the breadcrumb that
    all of a chunk's sections share, or that of the first where they share none.
    """
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    if not lines[-1]:
        lines.pop()
    sums = [0, *accumulate(count_tokens(line) for line in lines)]

    def measure(start: int, stop: int) -> int:
        return sums[stop] - sums[start]

    worth = _worth_of_cuts(lines)
    pieces = [
        _Piece(section.path, start, stop, measure(start, stop))
        for section in sections(lines)
        for start, stop in _split(section, worth, measure, min_tokens, max_tokens)
    ]
    return [chunk for piece in _merge(pieces, min_tokens, max_tokens) for chunk in _cut(piece, lines, max_tokens)]


def _worth_of_cuts(lines: Sequence[str]) -> list[int]:
    """How good it is to cut before each line: 2 after a blank one, 1 before a list item, 0 else and inside fences."""
    fenced = fenced_lines(lines)
    after_blank = [False, *(not inside and not line.strip() for line, inside in zip(lines, fenced, strict=True))]
    begins_item = [not inside and _ITEM.match(line) is not None for line, inside in zip(lines, fenced, strict=True)]
    return [2 if blank else int(item) for blank, item in zip(after_blank, begins_item, strict=False)]


def _split(
    section: Section,
    worth: Sequence[int],
    measure: Callable[[int, int], int],
    min_tokens: int,
    max_tokens: int,
) -> Iterator[tuple[int, int]]:
    """Line ranges of at most `max_tokens`, or of one line; each ends at the last of the best places once `min_tokens`
    are in.
    """
    start = section.start
    good = None
    for number in range(section.start, section.stop):
        if worth[number] >= (worth[good] if good else 1) and measure(start, number) >= min_tokens:
            good = number
        if number > start and measure(start, number + 1) > max_tokens:
            stop = good or number
            yield start, stop
            start, good = stop, None
            if number > start and measure(start, number + 1) > max_tokens:
                yield start, number
                start = number
    if start < section.stop:
        yield start, section.stop


def _merge(pieces: Sequence[_Piece], min_tokens: int, max_tokens: int) -> list[_Piece]:
    merged: list[_Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        # A last small piece may join a full neighbour too, else it would stand alone.
        small = last is not None and (last.tokens < min_tokens or (piece is pieces[-1] and piece.tokens < min_tokens))
        if last is not None and small and last.tokens + piece.tokens <= max_tokens and _related(last, piece):
            path = _shared(last.path, piece.path) or last.path or piece.path
            merged[-1] = _Piece(path, last.start, piece.stop, last.tokens + piece.tokens)
        else:
            merged.append(piece)
    return merged


def _related(one: _Piece, other: _Piece) -> bool:
    """Whether both stand under one parent, or one under the other."""
    return len(_shared(one.path, other.path)) >= min(len(one.path), len(other.path)) - 1


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(title for title, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _cut(piece: _Piece, lines: Sequence[str], max_tokens: int) -> Iterator[Chunk]:
    heading = SEPARATOR.join(piece.path)
    text = "".join(lines[piece.start : piece.stop])
    if piece.stop - piece.start > 1 or piece.tokens <= max_tokens:
        yield Chunk(text, heading, piece.start + 1, piece.stop)
        return
    for part in _parts_of_line(text, max_tokens):
        yield Chunk(part, heading, piece.start + 1, piece.stop)


def _parts_of_line(line: str, max_tokens: int) -> Iterator[str]:
    """Parts of about `max_tokens`, cut after a sentence or a word where there is one in the second half."""
    longest = max(1, len(line) * max_tokens // estimate_tokens(line))
    start = 0
    while len(line) - start > longest:
        breaks = [found.end() for found in _BREAKS.finditer(line, start + longest // 2, start + longest)]
        stop = max(breaks[-1] if breaks else start + longest, start + 1)
        yield line[start:stop]
        start = stop
    yield line[start:]

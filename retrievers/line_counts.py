"""Counts the tokens of excerpts and files in parts, since the same parts come back in question after question."""

from __future__ import annotations

import re
from functools import lru_cache

from retrievers.types import TokenCounter

PARTS_KEPT = 16_384
LONGEST_PART_CHARS = 2_000

# A line and the blank ones below it: tokenizers take line ends and blanks together.
_LINE = re.compile(r"[^\n]*(?:\n(?![ \t]*\S)[^\n]*)*\n?")


def by_lines(count_tokens: TokenCounter) -> TokenCounter:
    """The same counts, each part's made once, for a counter none of whose tokens holds a line end and what follows it
    in the next line, as cl100k: such counts of lines add up. A part is a text of up to `LONGEST_PART_CHARS`, or a line
    of a longer one. Thread-safe; of the parts counted, the last `PARTS_KEPT` are kept in memory.
    """
    count_part = lru_cache(maxsize=PARTS_KEPT)(count_tokens)

    def count(text: str) -> int:
        if len(text) <= LONGEST_PART_CHARS:
            return count_part(text)
        return sum(
            count_part(line) if len(line) <= LONGEST_PART_CHARS else count_tokens(line)
            for line in _LINE.findall(text)
            if line
        )

    return count

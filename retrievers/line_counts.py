"""Counts the tokens of excerpts line by line, since the same lines come back in excerpt after excerpt."""

from __future__ import annotations

import re
from functools import lru_cache

from retrievers.types import TokenCounter

LINES_KEPT = 65_536
LONGEST_KEPT_CHARS = 1_000

# A line and the blank ones below it: tokenizers take line ends and blanks together.
_LINE = re.compile(r"[^\n]*(?:\n(?![ \t]*\S)[^\n]*)*\n?")


def by_lines(count_tokens: TokenCounter) -> TokenCounter:
    """The same counts, each line's made once, for a counter none of whose tokens holds a line end and what follows it
    in the next line, as cl100k. Thread-safe; of the lines counted, the last `LINES_KEPT` are kept in memory.
    """
    count_line = lru_cache(maxsize=LINES_KEPT)(count_tokens)

    def count(text: str) -> int:
        return sum(
            count_line(line) if len(line) <= LONGEST_KEPT_CHARS else count_tokens(line)
            for line in _LINE.findall(text)
            if line
        )

    return count

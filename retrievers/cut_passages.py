"""The lines of a bank's passages and their tokens: told once for each passage, and ahead of the questions about it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from retrievers.lines import LineGroup, line_groups
from retrievers.terms import folded
from retrievers.types import Passage, TokenCounter


@dataclass(frozen=True, slots=True)
class CutPassage:
    """The groups of a passage's lines, and the tokens of each with its line end, of the passage's source line with its
    own, and of the whole passage as rendered. `plain` are the groups' texts, folded, and `ends` where in it each ends.
    """

    groups: tuple[LineGroup, ...]
    tokens: tuple[int, ...]
    source_tokens: int
    whole_tokens: int
    plain: str
    ends: tuple[int, ...]


class CutPassages:
    """Those of one bank, kept in memory, four to six bytes for each of the text's; thread-safe."""

    def __init__(self, count_tokens: TokenCounter) -> None:
        self._count_tokens = count_tokens
        self._known: dict[tuple[str, str, int], CutPassage] = {}

    def of(self, passage: Passage) -> CutPassage:
        """The passage's lines; cut and counted where that was not done before."""
        key = _key(passage)
        found = self._known.get(key)
        if found is None:
            self._known[key] = found = cut_passage(passage, self._count_tokens)
        return found

    def prepare(self, passages: Iterable[Passage], stop: threading.Event) -> None:
        """Cut and count all of these that are not known, until `stop` is set, and forget all others."""
        wanted = {_key(passage): passage for passage in passages}
        for key in [key for key in list(self._known) if key not in wanted]:
            self._known.pop(key, None)
        for key, passage in wanted.items():
            if stop.is_set():
                return
            if key not in self._known:
                self.of(passage)
                # A request that waits for the interpreter goes first.
                time.sleep(0)


def _key(passage: Passage) -> tuple[str, str, int]:
    return passage.content_id, passage.file, passage.start_line


def cut_passage(passage: Passage, count_tokens: TokenCounter) -> CutPassage:
    """Its lines, by a `count_tokens` whose counts of lines add up; see `by_lines`."""
    groups = tuple(line_groups(passage))
    tokens = tuple(count_tokens(f"{group.text}\n") for group in groups)
    plain = [f"{folded(group.text)}\n" for group in groups]
    source, text = f"{passage.source}\n", passage.text
    # A token may take the blank lines that a passage begins with together with the end of the line above.
    begin = text.rfind("\n", 0, len(text) - len(text.lstrip())) + 1
    return CutPassage(
        groups=groups,
        tokens=tokens,
        source_tokens=count_tokens(source),
        whole_tokens=count_tokens(source + text[:begin]) + count_tokens(text[begin:]),
        plain="".join(plain),
        ends=tuple(accumulate(map(len, plain))),
    )

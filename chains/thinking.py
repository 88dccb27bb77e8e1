"""Parts a model's thinking from its answer where it was left in the text, between `<think>` and `</think>`."""

from __future__ import annotations

import re
from contextlib import suppress

from chains.events import ReasoningDelta, TextDelta
from chains.streamed_text import Mismatch, StreamedText, Waiting

OPEN, CLOSE = "<think>", "</think>"
MAX_UNOPENED_CHARS = 20_000
_BLANKS = re.compile(r"\s*")
_UP_TO_TAG = re.compile(r"[^<]*")

Said = TextDelta | ReasoningDelta


class ThinkingSplitter:
    """Feed the pieces in order, then `finish` once.

    Only an answer that begins with thinking is split: the tag is an ordinary word further on. `opened` tells that the
    model's prompt may have opened the thinking already; the text is then held until `</think>` comes, at most
    `MAX_UNOPENED_CHARS` of it.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self._opened = opened
        self._text = StreamedText(MAX_UNOPENED_CHARS)
        self._said: list[Said] = []
        self.found = False
        self.is_over = False
        self._parser = self._answer()
        next(self._parser)

    def feed(self, piece: str) -> list[Said]:
        """Take in a piece."""
        if self.is_over:
            return [TextDelta(piece)]
        self._text.feed(piece)
        next(self._parser)
        return self._take_said()

    def finish(self) -> list[Said]:
        """The text has ended."""
        self._text.end()
        with suppress(StopIteration):
            next(self._parser)
        return self._take_said()

    def _take_said(self) -> list[Said]:
        said, self._said = self._said, []
        return said

    def _answer(self) -> Waiting[None]:
        try:
            yield from self._text.skip(_BLANKS)
            if (yield from self._text.starts(OPEN)):
                self._text.settle()
                yield from self._thinking()
            elif self._opened:
                yield from self._unopened()
        except Mismatch:
            pass
        while True:
            if text := self._text.settle():
                self._said.append(TextDelta(text))
            self.is_over = True
            if not (yield from self._text.peek()):
                return
            self._text.take_rest()

    def _thinking(self) -> Waiting[None]:
        """Let thinking go until its closing tag, and drop the blanks behind it."""
        self.found = True
        while (yield from self._text.peek()):
            self._text.take_run(_UP_TO_TAG)
            self._think(self._text.settle())
            if (yield from self._text.starts(CLOSE)):
                break
            self._think(self._text.settle())
        yield from self._drop_blanks()

    def _unopened(self) -> Waiting[None]:
        """Hold the text: with a closing tag it was thinking, without one the answer."""
        while (yield from self._text.skip(_UP_TO_TAG)):
            thought = self._text.held_chars
            if (yield from self._text.starts(CLOSE)):
                self.found = True
                self._think(self._text.settle()[:thought])
                yield from self._drop_blanks()
                return

    def _drop_blanks(self) -> Waiting[None]:
        self._text.settle()
        yield from self._text.skip(_BLANKS)
        self._text.settle()

    def _think(self, text: str) -> None:
        if text:
            self._said.append(ReasoningDelta(text))

"""Text that arrives in pieces, for parsers that are generators: they yield where they must wait for the next piece.

What a parser has passed over is held until it is settled. Nothing depends on how the text was cut into pieces, and each
character is looked at once.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import TypeVar

T = TypeVar("T")
Waiting = Generator[None, None, T]


class Mismatch(Exception):
    """The text does not go on as the rule says, ends within it, or the rule would hold too much."""


class StreamedText:
    """A cursor over the pieces; at most `max_held_chars` are held by `skip`."""

    def __init__(self, max_held_chars: int) -> None:
        self._max_held_chars = max_held_chars
        self._piece = ""
        self._settled = 0
        self._at = 0
        self._earlier: list[str] = []
        self._earlier_chars = 0
        self.ended = False

    def feed(self, piece: str) -> None:
        """Add a piece; only while the parser waits for one."""
        if self._at > self._settled:
            self._earlier.append(self._piece[self._settled :])
            self._earlier_chars += self._at - self._settled
        self._piece, self._settled, self._at = piece, 0, 0

    def end(self) -> None:
        """Tell that no piece follows."""
        self.ended = True

    @property
    def held_chars(self) -> int:
        """How much was passed over since the text was last settled."""
        return self._earlier_chars + self._at - self._settled

    def peek(self) -> Waiting[str]:
        """The next character, "" at the end; passes over nothing."""
        while self._at == len(self._piece):
            if self.ended:
                return ""
            yield
        return self._piece[self._at]

    def take(self) -> None:
        """Pass over the character that `peek` has just told, if any."""
        self._at = min(self._at + 1, len(self._piece))

    def take_run(self, run: re.Pattern[str]) -> None:
        """Pass over what a pattern takes of the current piece; the pattern also matches nothing at all."""
        match = run.match(self._piece, self._at)
        self._at = match.end() if match else self._at

    def take_rest(self) -> None:
        """Pass over the rest of the current piece."""
        self._at = len(self._piece)

    def skip(self, run: re.Pattern[str]) -> Waiting[str]:
        """Pass over all characters that a pattern takes, and tell the next one, "" at the end."""
        while char := (yield from self.peek()):
            match = run.match(self._piece, self._at, self._at + self._max_held_chars - self.held_chars)
            if match is None or match.end() == self._at:
                if self.held_chars >= self._max_held_chars:
                    raise Mismatch
                return char
            self._at = match.end()
        return ""

    def starts(self, text: str) -> Waiting[bool]:
        """Pass over `text` if it stands here, else over as much of it as does."""
        for expected in text:
            if (yield from self.peek()) != expected:
                return False
            self.take()
        return True

    def one_of(self, texts: Sequence[str]) -> Waiting[str]:
        """Pass over the first of `texts` that is complete; raises `Mismatch` as soon as none of them can be."""
        read = ""
        while True:
            char = yield from self.peek()
            read += char
            texts = [text for text in texts if text.startswith(read)]
            if not char or not texts:
                raise Mismatch
            self.take()
            if read in texts:
                return read

    def since(self, begin: int) -> str:
        """What was passed over after the first `begin` held characters."""
        if begin >= self._earlier_chars:
            return self._piece[self._settled + begin - self._earlier_chars : self._at]
        parts, known = [self._piece[self._settled : self._at]], self._earlier_chars
        for part in reversed(self._earlier):
            if known <= begin:
                break
            parts.append(part)
            known -= len(part)
        return "".join(reversed(parts))[begin - known :]

    def settle(self) -> str:
        """What is held; it is held no longer."""
        text = self.since(0)
        self._drop_held()
        return text

    def go_back(self, begin: int) -> None:
        """Put the cursor back to where `begin` characters were held."""
        if begin >= self._earlier_chars:
            self._at = self._settled + begin - self._earlier_chars
            return
        held, rest = self.since(0), self._piece[self._at :]
        self._earlier, self._earlier_chars = [held[:begin]], begin
        self._piece, self._settled, self._at = held[begin:] + rest, 0, 0

    def _drop_held(self) -> None:
        self._earlier, self._earlier_chars = [], 0
        self._settled = self._at

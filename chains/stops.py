"""Ends a text at the first of a client's stop texts, where the model's server has not."""

from __future__ import annotations

from collections.abc import Sequence


class StopCutter:
    """Feed the pieces in order, then `finish` once; holds back only what may be the beginning of a stop text."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(filter(None, stops))
        self._held = ""
        self.stopped = False

    def feed(self, piece: str) -> str:
        """What is certain after `piece`; nothing more once `stopped`."""
        if self.stopped or not self._stops:
            return "" if self.stopped else piece
        text = self._held + piece
        # The one that is complete first, as if the text came letter by letter.
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        self.stopped = bool(found)
        end = min(found)[1] if found else len(text) - self._ambiguous(text)
        self._held = "" if found else text[end:]
        return text[:end]

    def finish(self) -> str:
        """What is still held."""
        held, self._held = self._held, ""
        return held

    def _ambiguous(self, text: str) -> int:
        """The length of the longest end of the text that a stop text begins with."""
        longest = min(len(text), max(map(len, self._stops)) - 1)
        return next((n for n in range(longest, 0, -1) if any(s.startswith(text[-n:]) for s in self._stops)), 0)

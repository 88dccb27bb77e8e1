"""From the text that a model streams to thinking, words and calls, in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chains.events import ReasoningDelta
from chains.stops import StopCutter
from chains.thinking import Said, ThinkingSplitter
from chains.tool_arguments import Toolbox
from chains.tool_text import CallsInText, ToolCallRecogniser

Read = ReasoningDelta | str | CallsInText


class TextReader:
    """Feed the pieces in order, then `finish` once.

    Thinking is parted off first, then the stop texts cut, then calls of the toolbox's tools found, if it has any.
    """

    def __init__(self, toolbox: Toolbox | None, stops: Sequence[str], *, thinking_opened: bool) -> None:
        self._thinking = ThinkingSplitter(opened=thinking_opened)
        self._stops = StopCutter(stops)
        self._cuts_nothing = not any(stops)
        self._recogniser = None if toolbox is None else ToolCallRecogniser(toolbox)

    @property
    def stopped(self) -> bool:
        """Whether a stop text has come: nothing more counts."""
        return self._stops.stopped

    @property
    def found_thinking(self) -> bool:
        """Whether there was thinking in the text."""
        return self._thinking.found

    def feed(self, piece: str) -> Sequence[Read]:
        """What is certain after a piece."""
        if self._cuts_nothing and self._thinking.is_over:
            return self._words(piece)
        return self._read(self._thinking.feed(piece))

    def finish(self) -> list[Read]:
        """The rest."""
        rest = [*self._read(self._thinking.finish()), *self._words(self._stops.finish())]
        return [*rest, *(self._recogniser.finish() if self._recogniser else ())]

    def _read(self, said: Iterable[Said]) -> list[Read]:
        read: list[Read] = []
        for each in said:
            read += [each] if isinstance(each, ReasoningDelta) else self._words(self._stops.feed(each.text))
        return read

    def _words(self, text: str) -> Sequence[str | CallsInText]:
        if not text:
            return []
        return self._recogniser.feed(text) if self._recogniser else [text]

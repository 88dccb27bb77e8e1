"""Finds tool calls in the text that a model streams; docs/tools.md lists the forms.

What is a call of an offered tool, with arguments that fit, is taken out; everything else stays text, unchanged and in
order. Only text that may still become a call is held back, and how the text is cut into pieces changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from chains.call_forms import BETWEEN_CALLS, BETWEEN_STRINGS, BLANKS, CallForms
from chains.streamed_text import Mismatch, StreamedText, Waiting
from chains.tool_arguments import FittingCall, Toolbox

MAX_HELD_CHARS = 1_000_000
PROSE = re.compile(r"[^{\[<`]*")
OPENING = re.compile(r"[{\[<`]|^$")
CODE = re.compile(r"[^`]*")
LINE_OF_STRING = re.compile(r'[^"\\\n]*')


@dataclass(frozen=True, slots=True)
class CallsInText:
    """Calls, and the text they stood in; no calls where that only surrounds some: closing tags, blanks."""

    raw: str
    calls: tuple[FittingCall, ...]


Found = str | CallsInText


class ToolCallRecogniser:
    """Feed the pieces in order, then `finish` once; both return what is certain by then."""

    def __init__(self, toolbox: Toolbox, *, max_held_chars: int = MAX_HELD_CHARS) -> None:
        self._text = StreamedText(max_held_chars)
        self._forms = CallForms(self._text, toolbox)
        self._found: list[Found] = []
        self._words: list[str] = []
        self._in_prose = False
        self._begin_anew()
        self._parser = self._answer()
        next(self._parser)

    def feed(self, piece: str) -> list[Found]:
        """Take in a piece."""
        if self._in_prose and OPENING.search(piece) is None:
            self._note(piece)
            return [piece]
        self._text.feed(piece)
        next(self._parser)
        return self._take_found()

    def finish(self) -> list[Found]:
        """The text has ended."""
        self._text.end()
        with suppress(StopIteration):
            next(self._parser)
        return self._take_found()

    def _take_found(self) -> list[Found]:
        self._gather_words()
        found, self._found = self._found, []
        return found

    def _gather_words(self) -> None:
        if self._words:
            self._found.append("".join(self._words))
            self._words = []

    def _found_calls(self, calls: Sequence[FittingCall]) -> None:
        self._gather_words()
        self._found.append(CallsInText(self._text.settle(), tuple(calls)))

    def _answer(self) -> Waiting[None]:
        yield from self._hold(BLANKS)
        while char := (yield from self._text.peek()):
            if self._may_begin_call(char):
                self._in_prose = False
                yield from self._candidate(char)
            else:
                self._text.take()
                self._text.take_run(PROSE)
                self._release()
                self._in_prose = True
            if self._after_call:
                yield from self._hold(BETWEEN_CALLS)
        if self._after_call and self._text.held_chars:
            self._found_calls(())
        self._release()

    def _hold(self, run: re.Pattern[str]) -> Waiting[None]:
        try:
            yield from self._text.skip(run)
        except Mismatch:
            self._release()

    def _may_begin_call(self, char: str) -> bool:
        """A tag or a fence may begin anywhere but within a code span, JSON only where it stands free."""
        return not self._in_code_span and (char in "<`" or (char in "{[" and not self._before.strip()))

    def _candidate(self, char: str) -> Waiting[None]:
        try:
            calls = yield from self._forms.calls(char, after_call=self._after_call, line_is_blank=self._line_is_blank)
        except Mismatch:
            yield from self._give_up()
            return
        self._found_calls(calls)
        self._begin_anew(after_call=True)

    def _begin_anew(self, *, after_call: bool = False) -> None:
        self._after_call = after_call
        self._before = ""
        self._line_is_blank = True
        self._in_code_span = False

    def _release(self) -> None:
        """Let what is held go as text."""
        text = self._text.settle()
        if not text:
            return
        self._words.append(text)
        self._note(text)

    def _note(self, text: str) -> None:
        """Where on its line the text that was let go ends."""
        _, newline, line = text.rpartition("\n")
        self._after_call = False
        self._before = text[-1]
        self._line_is_blank = (bool(newline) or self._line_is_blank) and not line.strip()
        self._in_code_span = (not newline and self._in_code_span) != (line.count("`") % 2 == 1)

    def _give_up(self) -> Waiting[None]:
        """What may have been a call is none; nor is what stands within it, where it is JSON or code."""
        failed = self._forms.failed
        if failed is not None:
            self._text.go_back(failed.begin)
        self._release()
        if failed is not None:
            yield from self._code(failed.fence) if failed.fence else self._data()
            self._in_code_span = False

    def _code(self, fence: int) -> Waiting[None]:
        """Let code go up to its closing fence of at least so many ticks."""
        while char := (yield from self._text.peek()):
            if char == "`" and self._line_is_blank:
                ticks = yield from self._forms.ticks()
                self._release()
                if ticks >= fence:
                    return
            else:
                self._text.take()
                self._text.take_run(CODE)
                self._release()

    def _data(self) -> Waiting[None]:
        """Let a JSON value go, up to its end or to where it is no JSON."""
        depth = 0
        while char := (yield from self._text.peek()):
            if char == '"':
                if not (yield from self._string()):
                    return
            elif char in "{}[]":
                depth += 1 if char in "{[" else -1
                self._text.take()
            else:
                self._text.take_run(BETWEEN_STRINGS)
                if not self._text.held_chars:
                    return
            self._release()
            if not depth:
                return

    def _string(self) -> Waiting[bool]:
        """False where a line ends within it, as none of JSON's do."""
        self._text.take()
        while char := (yield from self._text.peek()):
            if char == "\n":
                return False
            if char == "\\":
                self._text.take()
                yield from self._text.peek()
                self._text.take()
            elif char == '"':
                self._text.take()
                return True
            else:
                self._text.take_run(LINE_OF_STRING)
            self._release()
        return True

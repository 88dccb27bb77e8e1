"""Finds tool calls in a model's text while it streams.

Two forms count: Hermes' `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, anywhere and any number of
times, and an answer that as a whole is one such object naming a tool that was offered (small models leave the
tags out, and a JSON schema in `format` cannot ask for them). Whatever only looks like a call stays text, character for
character. Only text that may still become a call is held back; how it is cut into pieces changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

OPEN_TAG = "<tool_call>"
CLOSE_TAG = "</tool_call>"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A complete call; `arguments` is always a JSON object."""

    name: str
    arguments: dict[str, Any]


Event = str | ToolCall


class ToolCallRecogniser:
    """Feed the pieces in order, then call `finish` once; both give text and calls in the answer's order."""

    def __init__(self, tool_names: Iterable[str]) -> None:
        self._openings = tuple(_compact('{"name":' + json.dumps(name, ensure_ascii=False)) for name in tool_names)
        self._held = ""
        self._may_be_bare = True
        self._is_bare = False
        self._after_call = False
        self._object = _ObjectScanner()

    def feed(self, piece: str) -> Iterator[Event]:
        """Yield what is certain after `piece`."""
        self._held += piece
        if self._may_be_bare:
            if self._still_bare():
                return
            self._may_be_bare = False
        yield from self._scan()

    def finish(self) -> Iterator[Event]:
        """Yield the rest; a call whose closing tag is missing counts if its object is complete."""
        if self._may_be_bare:
            self._may_be_bare = False
            call = _parse_call(self._held) if self._is_bare else None
            if call is not None:
                self._held = ""
                yield call
                return
            yield from self._scan()
        while self._held:
            call = _parse_call(self._held.removeprefix(OPEN_TAG)) if self._held.startswith(OPEN_TAG) else None
            if call is not None:
                self._held = ""
                yield call
                return
            # What began like a call is text after all, but a true call may stand behind its first character.
            head, self._held = self._held[0], self._held[1:]
            self._object = _ObjectScanner()
            yield from self._text(head)
            yield from self._scan()

    def _still_bare(self) -> bool:
        if self._is_bare:
            return True
        compact = _compact(self._held)
        self._is_bare = compact.startswith(self._openings)
        return self._is_bare or any(opening.startswith(compact) for opening in self._openings)

    def _scan(self) -> Iterator[Event]:
        while self._held:
            if not self._held.startswith(OPEN_TAG):
                safe = _safe_length(self._held)
                text, self._held = self._held[:safe], self._held[safe:]
                yield from self._text(text)
                if not self._held.startswith(OPEN_TAG):
                    return
            end = self._object.find_end(self._held, len(OPEN_TAG))
            tail = None if end is None else self._held[end:].lstrip()
            if tail is None and not self._object.broken:
                return
            if tail is not None and len(tail) < len(CLOSE_TAG) and CLOSE_TAG.startswith(tail):
                return
            call = None
            if end is not None and tail is not None and tail.startswith(CLOSE_TAG):
                call = _parse_call(self._held[len(OPEN_TAG) : end])
            self._object = _ObjectScanner()
            if call is not None and tail is not None:
                self._held = tail.removeprefix(CLOSE_TAG)
                self._after_call = True
                yield call
            else:
                self._held = self._held.removeprefix(OPEN_TAG)
                yield from self._text(OPEN_TAG)

    def _text(self, text: str) -> Iterator[str]:
        if self._after_call:
            text = text.lstrip()
        if text:
            self._after_call = False
            yield text


class _ObjectScanner:
    """Finds the end of a JSON object by its braces; looks at each character once, however often asked."""

    def __init__(self) -> None:
        self.broken = False
        self._seen = 0
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._end: int | None = None

    def find_end(self, text: str, start: int) -> int | None:
        """The index behind the last brace; None while the object is open, or when `broken`: none begins."""
        if self._end is not None:
            return self._end
        for at in range(max(start, self._seen), len(text)):
            if self._step(text[at]):
                self._end = at + 1
                return self._end
            if self.broken:
                return None
        self._seen = len(text)
        return None

    def _step(self, char: str) -> bool:
        if self._in_string:
            self._in_string = self._escaped or char != '"'
            self._escaped = char == "\\" and not self._escaped
            return False
        if self._depth == 0 and char != "{":
            self.broken = not char.isspace()
            return False
        self._in_string = char == '"'
        self._depth += {"{": 1, "}": -1}.get(char, 0)
        return self._depth == 0


def _safe_length(text: str) -> int:
    """How many characters of `text` stand before anything that is or may become an opening tag."""
    found = text.find(OPEN_TAG)
    if found >= 0:
        return found
    for length in range(min(len(OPEN_TAG) - 1, len(text)), 0, -1):
        if text.endswith(OPEN_TAG[:length]):
            return len(text) - length
    return len(text)


def _compact(text: str) -> str:
    return "".join(text.split())


def _parse_call(text: str) -> ToolCall | None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    name = value.get("name")
    arguments = value.get("arguments", value.get("parameters"))
    if not isinstance(name, str) or not name or not isinstance(arguments, dict):
        return None
    return ToolCall(name=name, arguments=arguments)

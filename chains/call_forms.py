"""The forms in which models write a tool call as text, as rules over streamed text; docs/tools.md lists them.

Each rule passes over its form, or raises `Mismatch` at the first character that shows that there is none.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from chains.streamed_text import Mismatch, StreamedText, Waiting
from chains.tool_arguments import FittingCall, Toolbox, read_json

_TAGS = ("tool_call", "tools", "tool", "function_call", "toolcall", "TOOLCALL")
OPENING_TAGS = (*(f"<{tag}>" for tag in _TAGS), "<|python_tag|>", "<function=")
CLOSING_TAGS = (*(f"</{tag}>" for tag in _TAGS), "</function>", "<|eom_id|>", "<|eot_id|>")
FENCED_LANGUAGES = ("json", "JSON", "xml", "XML", "tool_call")
FUNCTION_KEYS = ('"name"', '"arguments"', '"parameters"')
CALL_KEYS = (*FUNCTION_KEYS, '"function"', '"type"', '"id"')
MIN_FENCE = 3

BLANKS = re.compile(r"\s*")
BETWEEN_CALLS = re.compile(r"[\s,;]*")
BETWEEN_STRINGS = re.compile(r"[\s:,0-9.eE+\-truefalsn]*")
_TICKS = re.compile(r"`*")
_NAME = re.compile(r"[^\s<>{}\[\]]*")
_UP_TO_TAG = re.compile(r"[^<]*")
_IN_STRING = re.compile(r'[^"\\]*')
_SCALAR = re.compile(r"[0-9.eE+\-truefalsn]*")


@dataclass(frozen=True, slots=True)
class Structure:
    """What is no call but hangs together: a JSON value, or a code block with a fence of so many ticks.

    It begins behind `begin` held characters.
    """

    begin: int
    fence: int = 0


class CallForms:
    """The rules; `failed` is the structure in which the last `Mismatch` happened, None where in none."""

    def __init__(self, text: StreamedText, toolbox: Toolbox) -> None:
        self.failed: Structure | None = None
        self._text = text
        self._toolbox = toolbox

    def calls(self, char: str, *, after_call: bool, line_is_blank: bool) -> Waiting[list[FittingCall]]:
        """The calls that begin with `char`; none where a closing tag belongs to one just before."""
        self.failed = None
        if char == "`":
            return (yield from self._fenced(line_is_blank=line_is_blank))
        return (yield from self._unfenced(char, after_call=after_call))

    def ticks(self) -> Waiting[int]:
        """Pass over backticks and count them."""
        begin = self._text.held_chars
        yield from self._text.skip(_TICKS)
        return self._text.held_chars - begin

    def _fenced(self, *, line_is_blank: bool) -> Waiting[list[FittingCall]]:
        fence = yield from self.ticks()
        if fence < MIN_FENCE:
            raise Mismatch
        if line_is_blank:
            self.failed = Structure(self._text.held_chars, fence)
        if (yield from self._text.peek()).isalpha():
            yield from self._text.one_of(FENCED_LANGUAGES)
        calls: list[FittingCall] = []
        char = yield from self._text.skip(BLANKS)
        while char and char != "`":
            calls += yield from self._unfenced(char, after_call=bool(calls))
            char = yield from self._text.skip(BETWEEN_CALLS)
        if not calls or (char and (yield from self.ticks()) < fence):
            raise Mismatch
        return calls

    def _unfenced(self, char: str, *, after_call: bool) -> Waiting[list[FittingCall]]:
        if char == "{":
            return (yield from self._json())
        if char == "[":
            begin = self._text.held_chars
            if (yield from self._text.starts("[TOOL_CALLS]")):
                return (yield from self._marked())
            self._text.go_back(begin)
            return (yield from self._json())
        tag = yield from self._text.one_of(OPENING_TAGS + CLOSING_TAGS if after_call else OPENING_TAGS)
        if tag in CLOSING_TAGS:
            return []
        if tag != "<function=":
            if (yield from self._text.skip(BLANKS)) in ("{", "["):
                return (yield from self._json())
            yield from self._expect("<function=")
        return [(yield from self._function())]

    # --- JSON: {"name": …, "arguments": {…}}, and lists of it

    def _json(self) -> Waiting[list[FittingCall]]:
        around = self.failed
        begin = self._text.held_chars
        self.failed = around or Structure(begin)
        if (yield from self._text.peek()) == "[":
            yield from self._list()
        else:
            yield from self._object(CALL_KEYS)
        self.failed = around
        value = read_json(self._text.since(begin))
        return [self._call(each) for each in (value if isinstance(value, list) else [value])]

    def _list(self) -> Waiting[None]:
        yield from self._expect("[")
        closed = False
        while not closed:
            yield from self._text.skip(BLANKS)
            yield from self._object(CALL_KEYS)
            closed = yield from self._closed("]")

    def _object(self, keys: tuple[str, ...]) -> Waiting[None]:
        yield from self._expect("{")
        closed = False
        while not closed:
            yield from self._text.skip(BLANKS)
            key = yield from self._text.one_of(keys)
            yield from self._text.skip(BLANKS)
            yield from self._expect(":")
            yield from self._member(key, (yield from self._text.skip(BLANKS)))
            closed = yield from self._closed("}")

    def _closed(self, bracket: str) -> Waiting[bool]:
        """Pass over a comma, a closing bracket, or both; whether the bracket was there."""
        if (yield from self._text.skip(BLANKS)) == ",":
            self._text.take()
            if (yield from self._text.skip(BLANKS)) != bracket:
                return False
        yield from self._expect(bracket)
        return True

    def _member(self, key: str, char: str) -> Waiting[None]:
        if key == '"name"' or (key == '"function"' and char == '"'):
            yield from self._text.one_of([json.dumps(name, ensure_ascii=False) for name in self._toolbox.names])
        elif key == '"function"':
            yield from self._object(FUNCTION_KEYS)
        elif key == '"type"':
            yield from self._expect('"function"')
        elif char == '"':
            yield from self._string()
        elif char == "{":
            yield from self._nested()
        else:
            yield from self._text.skip(_SCALAR)

    def _nested(self) -> Waiting[None]:
        """An object or a list, by its brackets only."""
        depth = 0
        while char := (yield from self._text.skip(BETWEEN_STRINGS)):
            if char == '"':
                yield from self._string()
                continue
            if char not in "{}[]":
                raise Mismatch
            self._text.take()
            depth += 1 if char in "{[" else -1
            if not depth:
                return
        raise Mismatch

    def _string(self) -> Waiting[None]:
        yield from self._expect('"')
        while (yield from self._text.skip(_IN_STRING)) == "\\":
            self._text.take()
            yield from self._text.peek()
            self._text.take()
        yield from self._expect('"')

    # --- <function=name>…</function>, around JSON or around <parameter=key>…</parameter>; [TOOL_CALLS]name{…}

    def _marked(self) -> Waiting[list[FittingCall]]:
        if (yield from self._text.skip(BLANKS)) in ("{", "["):
            return (yield from self._json())
        begin = self._text.held_chars
        yield from self._text.skip(_NAME)
        name = self._text.since(begin)
        if (yield from self._text.peek()) == "[":
            yield from self._expect("[ARGS]")
        return [self._fit(name, (yield from self._arguments()))]

    def _function(self) -> Waiting[FittingCall]:
        name = (yield from self._text.one_of([f"{name}>" for name in self._toolbox.names])).removesuffix(">")
        if (yield from self._text.skip(BLANKS)) == "{":
            arguments = yield from self._arguments()
            if (yield from self._text.skip(BLANKS)):
                yield from self._expect("</function>")
        else:
            arguments = yield from self._parameters()
        return self._fit(name, arguments)

    def _arguments(self) -> Waiting[Any]:
        begin = self._text.held_chars
        if (yield from self._text.peek()) != "{":
            raise Mismatch
        yield from self._nested()
        return read_json(self._text.since(begin))

    def _parameters(self) -> Waiting[dict[str, str]]:
        arguments: dict[str, str] = {}
        while (yield from self._text.one_of(("<parameter=", "</function>"))) == "<parameter=":
            begin = self._text.held_chars
            yield from self._text.skip(_NAME)
            key = self._text.since(begin)
            yield from self._expect(">")
            arguments[key] = yield from self._value_in_tag()
            yield from self._text.skip(BLANKS)
        return arguments

    def _value_in_tag(self) -> Waiting[str]:
        begin = end = self._text.held_chars
        closed = False
        while not closed:
            if not (yield from self._text.skip(_UP_TO_TAG)):
                raise Mismatch
            end = self._text.held_chars
            closed = yield from self._text.starts("</parameter>")
        value = self._text.since(begin)[: end - begin]
        return value.removeprefix("\n").removesuffix("\n")

    # --- what was found

    def _call(self, value: Any) -> FittingCall:
        if not isinstance(value, dict):
            raise Mismatch
        function = value.get("function")
        call = function if isinstance(function, dict) else value
        key = "arguments" if "arguments" in call else "parameters"
        if key not in call:
            raise Mismatch
        return self._fit(call.get("name", function), call[key])

    def _fit(self, name: Any, arguments: Any) -> FittingCall:
        call = self._toolbox.fit(name, arguments)
        if call is None:
            raise Mismatch
        return call

    def _expect(self, text: str) -> Waiting[None]:
        if not (yield from self._text.starts(text)):
            raise Mismatch

"""What of a passage a prompt holds already: in a file the client read, a rule in its prompt, an earlier block."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from langchain_core.messages import BaseMessage, ToolMessage

from chains.compose import Quotable

# A shorter text may stand anywhere by chance; it is looked for together with its source.
LEAST_CHARS = 24
# How Cline numbers the lines of a file it shows.
_LINE_NUMBER = re.compile(r"^[ \t]*\d+ \|(?: |$)", re.MULTILINE)
# What the bank's own text says in place of a key, which the client's copy of the file still has; and where an excerpt
# leaves lines out.
_SEAM = re.compile(r"\[redacted: [^\]\n]*\]|^…$", re.MULTILINE)
_SECTION = re.compile(r"^(?=#{1,6}[ \t])", re.MULTILINE)
GAP = "…"


class AlreadySent:
    """All texts of a prompt, without regard to white space and line numbers. CPU-bound: some ms for 400 KB."""

    def __init__(self, messages: Iterable[BaseMessage], blocks: Iterable[str]) -> None:
        texts = [text for message in messages for text in _texts(message)]
        self._all = "\n".join(map(_folded, (*texts, *blocks)))

    def new_in(self, passage: Quotable) -> str:
        """The passage's text, of which sections that the prompt holds are left out; "" where it holds them all."""
        if self._holds(passage.text, passage.source):
            return ""
        sections = [section for section in _SECTION.split(passage.text) if section.strip()]
        new = [section for section in sections if not self._holds(section)]
        held = sum(len(section) for section in sections) - sum(len(section) for section in new)
        return passage.text if held < LEAST_CHARS else "".join(f"{GAP}\n{section}" for section in new)

    def _holds(self, text: str, source: str | None = None) -> bool:
        """Whether all of it stands there, in one piece but for what was redacted in it."""
        pieces = [folded for piece in _SEAM.split(text) if (folded := _folded(piece))]
        if source is not None and sum(map(len, pieces)) < LEAST_CHARS:
            return _folded(f"[{source}]\n{text}") in self._all
        return all(piece in self._all for piece in pieces)


def _folded(text: str) -> str:
    return " ".join(_LINE_NUMBER.sub("", text).split())


def _texts(message: BaseMessage) -> Iterator[str]:
    """A message's text, and what stands in it as JSON: tools of Cline's SDK answer in lists of results."""
    text = message.text
    yield text
    if isinstance(message, ToolMessage) and text.lstrip()[:1] in {"[", "{"}:
        try:
            yield from _strings(json.loads(text))
        except (ValueError, RecursionError):
            return


def _strings(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)

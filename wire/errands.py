"""Requests that a client makes for itself: titles and summaries of a conversation. They get no memory."""

from __future__ import annotations

import re
from collections.abc import Sequence

from langchain_core.messages import BaseMessage, HumanMessage

# How such a prompt begins; what a person asks of titles and summaries stands further down, or in no system prompt.
BEGINNING_CHARS = 500
_CHAT = r"(?:conversation|session|chat|thread|history)s?"
_ERRAND = re.compile(
    r"\btitle generat|\btitles? for (?:\w+ ){0,3}" + _CHAT + r"\b"
    r"|\b(?:generat|creat|writ|output)\w* [^.\n]{0,60}\btitles?\b"
    r"|\bsummari[sz]\w* (?:\w+ ){0,4}" + _CHAT + r"\b",
    re.IGNORECASE,
)
# Open WebUI puts its instruction and the whole chat into one message of the user's.
_TASK = "### Task:"


def is_errand(system: str, messages: Sequence[BaseMessage], *, has_tools: bool) -> bool:
    """Whether nobody works on a project here; an agent that was given tools does."""
    if has_tools:
        return False
    beginning = system.lstrip()[:BEGINNING_CHARS]
    last = messages[-1].text.lstrip() if messages and isinstance(messages[-1], HumanMessage) else ""
    told = last[:BEGINNING_CHARS] if last.startswith(_TASK) else ""
    return any(_ERRAND.search(text) is not None for text in (beginning, told))

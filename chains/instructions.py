"""Where a client's instructions stand: as one system message at the front, and as reminders further on.

Ollama's Qwen3-Coder reads the first system message only, the template of Qwen3.5 takes no prompt with a later one, and
most others put all of them at the front, so that the model would read everything anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

REMINDER_OPENS, REMINDER_CLOSES = "<system-reminder>", "</system-reminder>"


def instructions_placed(messages: Sequence[BaseMessage]) -> tuple[BaseMessage, ...]:
    """The messages, with what system messages say where every model reads it; always the same for the same ones."""
    placed: list[BaseMessage] = []
    for tells, group in groupby(messages, key=lambda message: isinstance(message, SystemMessage)):
        if not tells:
            placed += group
            continue
        text = "\n\n".join(filter(None, (message.text for message in group)))
        if not placed:
            placed.append(SystemMessage(content=text))
        elif text.strip():
            _remind(placed, text.strip())
    return tuple(placed)


def _remind(placed: list[BaseMessage], text: str) -> None:
    """In the form in which Claude Code gave instructions in the midst before an API had such messages.

    They go ahead of the user's words that they stand behind, so that those stay the last ones, or stand alone.
    """
    reminder = f"{text}\n\n" if text.startswith(REMINDER_OPENS) else f"{REMINDER_OPENS}\n{text}\n{REMINDER_CLOSES}\n\n"
    last = placed[-1]
    if not isinstance(last, HumanMessage):
        placed.append(HumanMessage(content=reminder))
    elif isinstance(last.content, str):
        placed[-1] = HumanMessage(content=reminder + last.content)
    else:
        placed[-1] = HumanMessage(content=[{"type": "text", "text": reminder}, *last.content])

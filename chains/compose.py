"""Puts what the memory bank knows beside the person's words, so that the same request always gives the same bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Protocol

from langchain_core.messages import BaseMessage, HumanMessage

FENCE = "project_notes"
_FENCE_MARK = re.compile(rf"<(?=/?{FENCE})", re.IGNORECASE)


class Quotable(Protocol):
    """A passage of the memory bank."""

    @property
    def source(self) -> str: ...
    @property
    def text(self) -> str: ...


@cache
def _template() -> str:
    return files("chains.prompts").joinpath("memory.md").read_text(encoding="utf-8").rstrip("\n")


def memory_block(passages: Sequence[Quotable]) -> str:
    """The passages as one fenced block, each named by `file#heading`; "" for none. A fence in one is defused."""
    if not passages:
        return ""
    quoted = "\n\n".join(_defuse(f"[{passage.source}]\n{passage.text.strip()}") for passage in passages)
    return _template().replace("{passages}", f"\n{quoted}\n")


def with_blocks(messages: Sequence[BaseMessage], blocks: Mapping[int, str]) -> list[BaseMessage]:
    """Copies of `messages` with each block at the end of the human message of its index."""
    return [
        _append(message, block) if (block := blocks.get(index)) and isinstance(message, HumanMessage) else message
        for index, message in enumerate(messages)
    ]


def _defuse(text: str) -> str:
    return _FENCE_MARK.sub("< ", text)


def _append(message: HumanMessage, block: str) -> HumanMessage:
    content = message.content
    if isinstance(content, str):
        return message.model_copy(update={"content": f"{content}\n\n{block}"})
    return message.model_copy(update={"content": [*content, {"type": "text", "text": f"\n\n{block}"}]})

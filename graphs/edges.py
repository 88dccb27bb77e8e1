"""Where a run goes next: pure functions of the state."""

from __future__ import annotations

from typing import Literal

from config.schema import Role
from graphs.state import RouterState

AnswerNode = Literal["quick_answer", "implement", "analyse"]

ANSWER_NODES: dict[Role, AnswerNode] = {
    "memory_fast": "quick_answer",
    "implementation": "implement",
    "memory_analysis": "analyse",
}


async def to_answer(state: RouterState) -> AnswerNode:
    """The answering node of the decided role. Asynchronous, as LangGraph sends other functions to a thread."""
    return ANSWER_NODES[state["decision"].role]

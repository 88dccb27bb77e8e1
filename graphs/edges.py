"""Where a run goes next: pure functions of the state."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from chains.decision import RouteDecision
from config.schema import Role

AnswerNode = Literal["quick_answer", "implement", "analyse"]

ANSWER_NODES: dict[Role, AnswerNode] = {
    "memory_fast": "quick_answer",
    "implementation": "implement",
    "memory_analysis": "analyse",
}


class Decided(TypedDict):
    """The part of the state that an edge reads; of all of it LangGraph would make a copy first."""

    decision: RouteDecision


async def to_answer(state: Decided) -> AnswerNode:
    """The answering node of the decided role. Asynchronous, as LangGraph sends other functions to a thread."""
    return ANSWER_NODES[state["decision"].role]

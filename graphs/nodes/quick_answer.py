"""Answers from memory and general knowledge with the fast model."""

from __future__ import annotations

from langgraph.runtime import Runtime

from graphs.answering import answer_with_model
from graphs.deps import Deps
from graphs.state import AnswerUpdate, RouterState


async def quick_answer(state: RouterState, runtime: Runtime[Deps]) -> AnswerUpdate:
    """Answers from memory and general knowledge with the fast model; see `answer_with_model`."""
    return await answer_with_model(state, runtime)

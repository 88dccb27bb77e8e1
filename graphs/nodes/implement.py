"""Writes and changes code with the coding model."""

from __future__ import annotations

from langgraph.runtime import Runtime

from graphs.answering import answer_with_model
from graphs.deps import Deps
from graphs.state import AnswerUpdate, RouterState


async def implement(state: RouterState, runtime: Runtime[Deps]) -> AnswerUpdate:
    """Writes and changes code with the coding model; see `answer_with_model`."""
    return await answer_with_model(state, runtime)

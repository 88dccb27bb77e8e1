"""Thinks a whole project through with the large model."""

from __future__ import annotations

from langgraph.runtime import Runtime

from graphs.answering import answer_with_model
from graphs.deps import Deps
from graphs.state import AnswerUpdate, RouterState


async def analyse(state: RouterState, runtime: Runtime[Deps]) -> AnswerUpdate:
    """Thinks a whole project through with the large model; see `answer_with_model`."""
    return await answer_with_model(state, runtime)

"""Understands the request's size and decides who answers."""

from __future__ import annotations

from pathlib import Path

from langchain_core.messages import BaseMessage, convert_to_messages
from langgraph.runtime import Runtime

from chains.turn import AUTOMATIC, Turn
from config.errors import BadRequest
from graphs.deps import Deps
from graphs.planning import plan
from graphs.state import RouterInput, RouteUpdate


async def route(state: RouterInput, runtime: Runtime[Deps]) -> RouteUpdate:
    """Decide role and model, find the conversation, open the context ledger.

    Raises:
        BadRequest: no messages, an unknown model, or a request that no model can take.
        BackendUnavailable: no model server answers.
    """
    return await plan(_turn(state), runtime.context)


def _turn(state: RouterInput) -> Turn:
    if turn := state.get("turn"):
        return turn
    try:
        messages = convert_to_messages(state.get("messages") or [])
    except (ValueError, TypeError, NotImplementedError) as error:
        raise BadRequest(
            f"messages cannot be understood ({error}): send LangChain messages.", param="messages"
        ) from error
    if unknown := next((part for message in messages for part in _unknown_parts(message)), None):
        raise BadRequest(f"A message has a part of type {unknown!r}: send text and images.", param="messages")
    if not messages:
        raise BadRequest("messages is empty: send at least one message.", param="messages")
    workspace = state.get("workspace")
    return Turn.of_messages(
        messages,
        model=state.get("model") or AUTOMATIC,
        workspace=Path(workspace) if workspace else None,
        mode=state.get("mode") or "none",
    )


def _unknown_parts(message: BaseMessage) -> list[str]:
    parts = message.content if isinstance(message.content, list) else []
    types = [part.get("type") if isinstance(part, dict) else "text" for part in parts]
    return [str(kind) for kind in types if kind not in {"text", "image_url"}]

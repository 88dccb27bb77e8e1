"""Understands the request's size and decides who answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

from langchain_core.messages import BaseMessage, convert_to_messages
from langgraph.runtime import Runtime

from chains.conversation import fingerprints
from chains.ledger import PromptParts, count_parts, open_ledger
from chains.turn import AUTOMATIC, Turn
from config.errors import BadRequest
from config.schema import MemorySettings
from graphs.deps import Deps
from graphs.state import RouterInput, RouteUpdate


async def route(state: RouterInput, runtime: Runtime[Deps]) -> RouteUpdate:
    """Decide role and model, find the conversation, open the context ledger.

    Raises:
        BadRequest: no messages, an unknown model, or a request that no model can take.
        BackendUnavailable: no model server answers.
    """
    deps = runtime.context
    turn = _turn(state)
    cards = await deps.models.cards()
    largest = max(card.window_tokens for card in cards.values())
    place = _place(turn.workspace, deps.memory_settings)
    parts, chain = await asyncio.to_thread(_measure, turn, largest, place)
    decision = deps.router.decide(turn, parts, cards)
    card = cards[decision.role]
    conversation = turn.session or await deps.sessions.conversation_of(chain) or deps.new_id()
    return {
        "turn": turn,
        "decision": decision,
        "card": card,
        "ledger": open_ledger(parts, turn, window=card.window_tokens, answer_limit=card.answer_limit_tokens),
        "chain": chain,
        "conversation": conversation,
    }


def _measure(turn: Turn, largest_window: int, place: str) -> tuple[PromptParts, list[str]]:
    return count_parts(turn, largest_window=largest_window), fingerprints(turn.messages, place=place)


def _place(workspace: Path | None, settings: MemorySettings) -> str:
    """What keeps one project's conversations, and the memory in them, from another's."""
    return "\0".join(str(path) for path in (workspace or settings.default_workspace, *settings.workspace_roots))


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

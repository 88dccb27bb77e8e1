"""Keeps the session record, so that the conversation's next request is known."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from chains.conversation import followed_by, session_key
from graphs.deps import Deps
from graphs.planning import place_of
from graphs.state import RouterState


async def remember(state: RouterState, runtime: Runtime[Deps]) -> dict[str, Any]:
    """Record which conversation this request's prefix belongs to and the route it took; changes no state.

    The prefix with the answer is known as well: two conversations that began with the same words part there.
    """
    deps, decision, turn = runtime.context, state["decision"], state["turn"]
    record = {
        "conversation": state["conversation"],
        "role": decision.role,
        "model": decision.model,
        "reason": decision.reason,
        "mode": turn.mode,
        "prompt_tokens": state["ledger"].prompt,
    }
    last = state["chain"][-1]
    await deps.sessions.keep_conversation([last, followed_by(last, state["answer"])], record)
    if turn.session:
        place = place_of(turn.workspace, deps.memory_settings)
        await deps.sessions.keep_session(session_key(turn.session, place=place), record)
    await deps.speeds.save()
    return {}

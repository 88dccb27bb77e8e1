"""Keeps the session record, so that the conversation's next request is known."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from graphs.deps import Deps
from graphs.state import RouterState


async def remember(state: RouterState, runtime: Runtime[Deps]) -> dict[str, Any]:
    """Record which conversation this request's prefix belongs to and the route it took; changes no state."""
    decision = state["decision"]
    await runtime.context.sessions.keep_conversation(
        state["chain"][-1],
        {
            "conversation": state["conversation"],
            "role": decision.role,
            "model": decision.model,
            "reason": decision.reason,
        },
    )
    return {}

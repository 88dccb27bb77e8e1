"""Keeps the session record, so that the conversation's next request is known."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import SystemMessage
from langgraph.runtime import Runtime

from chains.conversation import digest_of_text, followed_by, loosely_followed_by
from graphs.deps import Deps
from graphs.state import RouterState
from graphs.tracing import conversation_key


async def remember(state: RouterState, runtime: Runtime[Deps]) -> dict[str, Any]:
    """Record which conversation this request's prefix belongs to and the route it took; changes no state.

    The prefix with the answer is known as well: two conversations that began with the same words part there. A system
    prompt alone begins every task of its client's.
    """
    deps, decision, messages = runtime.context, state["decision"], state["turn"].messages
    record = {
        "conversation": state["conversation"],
        "role": decision.role,
        "model": decision.model,
        "reason": decision.reason,
        "mode": state["turn"].mode,
        "prompt_tokens": state["ledger"].prompt,
    }
    blocks = {str(index): digest_of_text(block) for index, block in state["blocks"].items()}
    last, usage = state["chain"][-1], state["answer"].usage_metadata
    answered = [followed_by(last, state["answer"]), loosely_followed_by(state["loose"], state["answer"])]
    await deps.sessions.keep_conversation(
        answered if all(isinstance(each, SystemMessage) for each in messages) else [last, *answered],
        {**record, "blocks": blocks},
        last={
            conversation_key(state, deps): {
                **record,
                "prompt": state["trace"].as_record(),
                "counted": usage["input_tokens"] if usage else 0,
            }
        },
    )
    await deps.speeds.save()
    return {}

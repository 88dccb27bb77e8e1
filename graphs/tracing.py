"""Holds a prompt against the one before it of the same conversation."""

from __future__ import annotations

from dataclasses import dataclass

from chains.conversation import digest_of_text, session_key
from chains.correction import Sent
from chains.prefix import PrefixLeft, PromptTrace
from graphs.deps import Deps
from graphs.kept_memory import block_tokens
from graphs.planning import place_of
from graphs.state import RouterState


@dataclass(frozen=True, slots=True)
class Traced:
    """A prompt as it is sent; `left` is None where it goes on from the one before, or where there was none."""

    trace: PromptTrace
    left: PrefixLeft | None
    sent: Sent


def trace_prompt(state: RouterState, deps: Deps) -> Traced:
    """What is sent, in our count, and how much of it the same model was sent in the conversation's last request."""
    measured, blocks = state["measured"], state["blocks"]
    tokens = block_tokens(blocks, deps.counts)
    placed = {index: (digest_of_text(block), tokens[index]) for index, block in blocks.items()}
    trace = PromptTrace.of(measured.tools, measured.messages, placed)
    last = state["last_request"]
    before = PromptTrace.from_record(last.get("prompt"))
    if before is None:
        return Traced(trace, None, Sent(trace.tokens))
    left = trace.left(before)
    if last.get("model") != state["card"].name:
        return Traced(trace, left, Sent(trace.tokens))
    shared = left.tokens if left else min(before.tokens, trace.tokens)
    grew = left is None and before.tokens <= trace.tokens
    return Traced(trace, left, Sent(trace.tokens, shared, last.get("counted", 0) if grew else 0))


def conversation_key(state: RouterState, deps: Deps) -> str:
    """What the conversation is found by, within its project: its id may be the client's, and the same elsewhere."""
    return session_key(state["conversation"], place=place_of(state["turn"].workspace, deps.memory_settings))

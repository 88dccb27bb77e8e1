"""Adds what the memory bank knows to the person's words that asked for it, once and for good."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from langchain_core.messages import HumanMessage
from langgraph.runtime import Runtime

from chains.compose import memory_block
from chains.counting import count_text
from chains.ledger import MIN_ANSWER_TOKENS, Ledger
from graphs.deps import Deps
from graphs.state import MemoryUpdate, RouterState
from retrievers.asked import asks_for_bank
from retrievers.types import Retrieval

MIN_BUDGET_TOKENS = 64
FENCE_TOKENS = 64


@dataclass(frozen=True, slots=True)
class _Recalled:
    block: str = ""
    sources: tuple[str, ...] = ()
    note: str | None = None
    left_out: tuple[str, ...] = ()


async def read_memory(state: RouterState, runtime: Runtime[Deps]) -> MemoryUpdate:
    """Put back the blocks of earlier turns as they were; for a person's new turn, recall and remember a new one."""
    deps, chain = runtime.context, state["chain"]
    messages = state["turn"].messages
    human = {index: chain[index] for index, message in enumerate(messages) if isinstance(message, HumanMessage)}
    known = await deps.sessions.blocks_of(list(human.values())) if deps.memory_settings.enabled else {}
    new_index = _asks_now(state)
    kept = {index: known[key] for index, key in human.items() if known.get(key) and index != new_index}
    blocks, ledger = await asyncio.to_thread(that_fit, kept, state["ledger"])
    recalled = _Recalled()
    if new_index is not None:
        recalled = await _recall(state, deps, ledger)
        await deps.sessions.keep_block(chain[new_index], recalled.block)
    ledger = ledger.with_memory(count_text(recalled.block), recalled.left_out)
    if new_index is not None and recalled.block:
        blocks[new_index] = recalled.block
    return {
        "blocks": blocks,
        "sources": list(recalled.sources),
        "memory_note": recalled.note,
        "new_block_index": new_index if recalled.block else None,
        "ledger": ledger,
    }


def _asks_now(state: RouterState) -> int | None:
    """The message that a person has just typed and that may get memory; None in a tool loop."""
    turn = state["turn"]
    last = len(turn.messages) - 1
    return last if turn.person_index == last and not turn.from_machine and turn.wants_memory else None


def that_fit(kept: dict[int, str], ledger: Ledger) -> tuple[dict[int, str], Ledger]:
    """The oldest blocks first, so that the prompt's front stays as the model knows it; the rest is told as left out."""
    blocks: dict[int, str] = {}
    for index, block in kept.items():
        tokens = count_text(block)
        if ledger.prompt + tokens + MIN_ANSWER_TOKENS > ledger.window:
            ledger = ledger.with_memory(0, (f"memory of message {index}",))
            continue
        ledger = ledger.with_memory(tokens)
        blocks[index] = block
    return blocks, ledger


async def _recall(state: RouterState, deps: Deps, ledger: Ledger) -> _Recalled:
    turn, settings = state["turn"], deps.memory_settings
    workspace = turn.workspace or settings.default_workspace
    if not settings.enabled or workspace is None:
        return _Recalled()
    most = settings.whole_bank_tokens if asks_for_bank(turn.person_text) else settings.budget_tokens
    budget = min(most, int(ledger.window * settings.window_share), ledger.room) - FENCE_TOKENS
    if budget < MIN_BUDGET_TOKENS:
        return _Recalled(note="The window has no room for memory.")
    vector = state.get("query_vector")
    retrieval = await deps.memory.recall(workspace, turn.person_text, budget, query_vector=vector)
    return await asyncio.to_thread(_quoted, retrieval, budget + FENCE_TOKENS)


def _quoted(retrieval: Retrieval, most_tokens: int) -> _Recalled:
    sources = tuple(passage.source for passage in retrieval.passages)
    kept = len(sources)
    # A quoted passage costs a few tokens more than a plain one, which adds up where there are many small ones.
    while count_text(block := memory_block(retrieval.passages[:kept])) > most_tokens:
        kept -= 1
    return _Recalled(block, sources[:kept], retrieval.note, sources[kept:])

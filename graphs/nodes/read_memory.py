"""Adds what the memory bank knows to the person's words that asked for it, once and for good."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from langchain_core.messages import BaseMessage
from langgraph.runtime import Runtime

from chains.already_sent import AlreadySent
from chains.compose import memory_block
from chains.correction import Correction
from chains.counting import count_text
from chains.ledger import Ledger
from graphs.deps import Deps
from graphs.kept_memory import count_blocks, places_of, that_fit
from graphs.state import MemoryUpdate, RouterState
from graphs.tracing import conversation_key
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
    deps, kept, correction = runtime.context, state["kept"], state["correction"]
    tokens = await count_blocks(kept.blocks, deps.counts)
    blocks, ledger = that_fit(
        kept.blocks, {index: correction.of(each) for index, each in tokens.items()}, state["ledger"]
    )
    recalled = _Recalled()
    if kept.asks is not None:
        recalled = await _new_block(state, deps, ledger, blocks, correction)
        places = places_of(kept.asks, state["chain"], state["measured"], conversation_key(state, deps))
        await deps.sessions.keep_block(recalled.block, places)
        if recalled.block:
            blocks[kept.asks] = recalled.block
    tokens = await count_blocks(blocks, deps.counts)
    added = tokens[kept.asks] if kept.asks is not None and recalled.block else 0
    return {
        "blocks": blocks,
        "sources": list(recalled.sources),
        "memory_note": recalled.note,
        "new_block_index": kept.asks if recalled.block else None,
        "new_block_tokens": correction.of(added),
        "ledger": ledger.with_memory(correction.of(added), recalled.left_out),
    }


async def _new_block(
    state: RouterState, deps: Deps, ledger: Ledger, blocks: Mapping[int, str], correction: Correction
) -> _Recalled:
    """What an earlier request put there, which the model has read; else what the bank says now."""
    tried = state["kept"].tried
    if tried is not None and correction.of(await asyncio.to_thread(count_text, tried)) <= ledger.room:
        return _Recalled(tried, note="As in the request before." if tried else None)
    return await _recall(state, deps, ledger, blocks, correction)


async def _recall(
    state: RouterState, deps: Deps, ledger: Ledger, blocks: Mapping[int, str], correction: Correction
) -> _Recalled:
    turn, settings = state["turn"], deps.memory_settings
    workspace = turn.workspace or settings.default_workspace
    if workspace is None:
        return _Recalled()
    most = settings.whole_bank_tokens if asks_for_bank(state["question"]) else settings.budget_tokens
    room = int(min(ledger.window * settings.window_share, ledger.room) / correction.factor)
    budget = min(most, room) - FENCE_TOKENS
    if budget < MIN_BUDGET_TOKENS:
        return _Recalled(note="The window has no room for memory.")
    retrieval = await deps.memory.recall(workspace, state["question"], budget, query_vector=state["query_vector"])
    return await asyncio.to_thread(_quoted, retrieval, turn.messages, blocks.values(), budget + FENCE_TOKENS)


def _quoted(
    retrieval: Retrieval, messages: Sequence[BaseMessage], blocks: Iterable[str], most_tokens: int
) -> _Recalled:
    if not retrieval.passages:
        return _Recalled(note=retrieval.note)
    sent = AlreadySent(messages, blocks)
    new = [replace(passage, text=text) for passage in retrieval.passages if (text := sent.new_in(passage))]
    sources = [passage.source for passage in new]
    known = tuple(f"{each.source}: already in the prompt" for each in retrieval.passages if not sent.new_in(each))
    kept = len(new)
    # A quoted passage costs a few tokens more than a plain one, which adds up where there are many small ones.
    while count_text(block := memory_block(new[:kept])) > most_tokens:
        kept -= 1
    over = tuple(f"{source}: no room" for source in sources[kept:])
    return _Recalled(block, tuple(sources[:kept]), retrieval.note, (*known, *over))

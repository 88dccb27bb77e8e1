"""The memory that earlier requests of a conversation added: found again, with the same bytes, in the same places."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from langchain_core.messages import HumanMessage

from chains.conversation import digest_of_text, standing_key
from chains.counting import TokenCounts, count_text
from chains.ledger import MIN_ANSWER_TOKENS, Ledger, Measured
from chains.turn import Turn
from graphs.deps import Deps
from graphs.known import Known
from graphs.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Kept:
    """Blocks by index of their message.

    `asks` is the message that a person has just typed and that may get memory, None in a tool loop. `tried` is what an
    earlier request put there, which the model has read already.
    """

    blocks: Mapping[int, str] = field(default_factory=dict)
    asks: int | None = None
    tried: str | None = None


async def find_kept(
    turn: Turn,
    chain: list[str],
    measured: Measured,
    known: Known,
    *,
    conversation: str | None,
    deps: Deps,
    touch: bool = True,
) -> Kept:
    """What stands in the known part of the conversation, as its record says; in later messages, what was put there.

    A message is found again also where the client changed something ahead of it, by itself and its neighbour.
    `conversation` is the key that the conversation is found by, within its project.
    """
    if not deps.memory_settings.enabled:
        return Kept()
    asks = _asks_now(turn)
    places = {
        index: places_of(index, chain, measured, conversation)
        for index, message in enumerate(turn.messages)
        if isinstance(message, HumanMessage) and index >= known.messages and index != asks
    }
    found = await deps.sessions.blocks_of([key for keys in places.values() for key in keys], touch=touch)
    blocks = {index: known.texts[key] for index, key in known.blocks.items() if key in known.texts}
    blocks |= {index: next((found[key] for key in keys if key in found), "") for index, keys in places.items()}
    tried = None if asks is None else await _tried(chain[asks], known, deps.sessions, touch=touch)
    return Kept({index: block for index, block in sorted(blocks.items()) if block}, asks, tried)


async def _tried(place: str, known: Known, sessions: Sessions, *, touch: bool) -> str | None:
    """What a conversation that goes on has there for good; a first message was only tried until it was answered."""
    if known.messages and (block := (await sessions.blocks_of([place], touch=touch)).get(place)):
        return block
    return None if known.answered else await sessions.tried_block(place, touch=touch)


def places_of(index: int, chain: list[str], measured: Measured, conversation: str | None) -> list[str]:
    """What a message's block may be found under, best first; the last is for one whose neighbour was cut away."""
    if conversation is None:
        return [chain[index]]
    digest, before = measured.messages[index][0], measured.messages[index - 1][0] if index else ""
    return [standing_key(conversation, digest, before), chain[index], standing_key(conversation, digest, "")]


def block_tokens(blocks: Mapping[int, str], counts: TokenCounts) -> dict[int, int]:
    """Our count of each block, by index. CPU-bound where a block is new."""
    return {index: counts.of(digest_of_text(block), partial(count_text, block)) for index, block in blocks.items()}


async def count_blocks(blocks: Mapping[int, str], counts: TokenCounts) -> dict[int, int]:
    """As `block_tokens`; goes to a thread only where a block is new."""
    if all(counts.knows(digest_of_text(block)) for block in blocks.values()):
        return block_tokens(blocks, counts)
    return await asyncio.to_thread(block_tokens, blocks, counts)


def that_fit(blocks: Mapping[int, str], tokens: Mapping[int, int], ledger: Ledger) -> tuple[dict[int, str], Ledger]:
    """The oldest blocks first, so that the prompt's front stays as the model knows it; the rest is told as left out.

    `tokens` in the model's own count.
    """
    kept: dict[int, str] = {}
    for index, block in blocks.items():
        if ledger.prompt + ledger.margin + tokens[index] + MIN_ANSWER_TOKENS > ledger.window:
            ledger = ledger.with_memory(0, (f"memory of message {index}: the window has no room",))
            continue
        ledger = ledger.with_memory(tokens[index])
        kept[index] = block
    return kept, ledger


def _asks_now(turn: Turn) -> int | None:
    last = len(turn.messages) - 1
    return last if turn.person_index == last and not turn.from_machine and turn.wants_memory else None

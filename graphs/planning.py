"""Plans one request: its size, its conversation, who answers. Shared by the graph's first node and `POST /v1/route`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from backends.types import ModelCard, Occupancy
from chains.arbiter import Question, arbiter_chain, ask_arbiter, with_verdict
from chains.compose import with_blocks
from chains.conversation import fingerprints, loose_fingerprints, session_key
from chains.correction import LEAST_LEARNED_TOKENS, Correction
from chains.decide import Circumstances, Router, Weighed, weighed_words
from chains.decision import RouteDecision, Wish
from chains.features import ends_of
from chains.ledger import Measured, PromptParts, measure, open_ledger
from chains.lock import Held
from chains.seconds import Expected
from chains.turn import Turn
from config.errors import ContextTooLong, MemoryUnavailable, RouterError
from config.schema import Role
from config.settings import MemorySettings
from graphs.deps import Deps
from graphs.kept_memory import Kept, count_blocks, find_kept
from graphs.known import Known
from graphs.state import RouteUpdate

ARBITER: Role = "memory_fast"
# What a call that waits or runs is taken to have ahead of it.
ANSWER_AHEAD_TOKENS = 300


async def plan(turn: Turn, deps: Deps, *, dry: bool = False) -> RouteUpdate:
    """Decide role and model, find the conversation, open the context ledger.

    `dry` asks no model and touches no record.

    Raises:
        BadRequest: an unknown model, or a request that no model can take.
        BackendUnavailable: no model server answers.
    """
    cards = await deps.models.cards()
    largest = max(card.window_tokens for card in cards.values())
    place = place_of(turn.workspace, deps.memory_settings)
    (measured, chain, loose, known), occupancy = await asyncio.gather(
        deps.sessions.in_thread(partial(_look_at, turn, largest, place, deps, touch=not dry)), deps.models.occupancy()
    )
    if known.answered and not known.messages and not turn.session and not dry:
        await deps.sessions.share(chain[-1])  # its answer may be broken off, and then nothing else parts the two
    conversation = turn.session or known.conversation
    key = session_key(conversation, place=place) if conversation else None
    kept = await find_kept(turn, chain, measured, known, conversation=key, deps=deps, touch=not dry)
    tokens = await count_blocks(kept.blocks, deps.counts)
    parts = replace(measured.parts, memory=sum(tokens.values()))
    parts = replace(parts, corrections=await _corrections(turn, kept, parts.total, cards, deps))
    question, vector = weighed_words(turn, known.held), None
    wish = deps.router.wish(turn, cards, known.held)
    if wish is None:
        vector = await _embedded(question, deps)
        weighed = deps.router.weigh(turn, known.held, vector)
        wish = weighed.wish
        if weighed.abstains and not dry:
            wish = await _arbitrated(weighed, turn, known.held, cards=cards, occupancy=occupancy, deps=deps)
    # What nobody will remember must not hang on what happens to be loaded: the next request of a tool loop would be
    # decided anew, and differently.
    remembered = deps.sessions.store is not None and (turn.is_errand or not (turn.from_machine and known.held is None))
    expected = _expected(cards, parts, known.held, occupancy, deps)
    decision = _decided(
        deps.router,
        turn,
        parts,
        cards=cards,
        circumstances=Circumstances(known.held, expected, remembered, occupancy.broken),
        wish=wish,
    )
    card = cards[decision.role]
    return {
        "turn": turn,
        "decision": decision,
        "card": card,
        "ledger": open_ledger(
            parts.as_counted_by(card.name), turn, window=card.window_tokens, answer_limit=card.answer_limit_tokens
        ),
        "chain": chain,
        "loose": loose[-1],
        "measured": measured,
        "correction": _correction(parts, card, deps),
        "kept": kept,
        "last_request": known.last_request,
        "conversation": conversation or deps.new_id(),
        "question": question,
        "query_vector": vector,
    }


async def _corrections(
    turn: Turn, kept: Kept, tokens: int, cards: Mapping[Role, ModelCard], deps: Deps
) -> dict[str, Correction]:
    """How each model counts: exactly, of this very prompt, where its server can tell; else as far as was learned."""
    corrections = deps.speeds.counting.of(card.name for card in cards.values())
    tools = turn.tools if turn.offers_tools else ()
    for name, card in {card.name: card for card in cards.values()}.items():
        exact = await deps.models.count_prompt(card, with_blocks(turn.messages, kept.blocks), tools)
        if exact and tokens:
            corrections[name] = Correction(exact / tokens)
    return corrections


def _correction(parts: PromptParts, card: ModelCard, deps: Deps) -> Correction:
    """For what is added to the prompt: a short one is mostly template, which says nothing of a text."""
    if parts.total >= LEAST_LEARNED_TOKENS:
        return parts.corrections[card.name]
    return deps.speeds.counting.of([card.name])[card.name]


def _decided(
    router: Router,
    turn: Turn,
    parts: PromptParts,
    *,
    cards: Mapping[Role, ModelCard],
    circumstances: Circumstances,
    wish: Wish,
) -> RouteDecision:
    """A model that has room for the memory in earlier messages too; only where there is none is it left out."""
    try:
        return router.decide(turn, parts, cards, circumstances, wish)
    except ContextTooLong:
        if not parts.memory:
            raise
    return router.decide(turn, replace(parts, memory=0), cards, circumstances, wish)


def place_of(workspace: Path | None, settings: MemorySettings) -> str:
    """What keeps one project's conversations, and the memory in them, from another's."""
    return "\0".join(str(path) for path in (workspace or settings.default_workspace, *settings.workspace_roots))


def _look_at(
    turn: Turn, largest_window: int, place: str, deps: Deps, *, touch: bool
) -> tuple[Measured, list[str], list[str], Known]:
    """The size, the fingerprints and the conversation so far, with one hop to a thread for all of it.

    A person's newest message is no part of the conversation: two tasks may begin with the same words.
    """
    measured = measure(turn, deps.counts, largest_window=largest_window)
    chain = fingerprints(turn.messages, place=place)
    loose = loose_fingerprints(turn.messages, [digest for digest, _ in measured.messages], place=place)
    so_far, newest = (chain, None) if turn.from_machine else (chain[:-1], chain[-1])
    known = deps.sessions.find(
        so_far, loose=loose[: len(so_far)], newest=newest, session=turn.session, place=place, touch=touch
    )
    return measured, chain, loose, known


async def _embedded(words: str, deps: Deps) -> list[float] | None:
    if deps.router.classifier is None or deps.embedder is None or not words.strip() or not deps.embedder.is_ready:
        return None
    try:
        return await asyncio.to_thread(deps.embedder.embed_query, ends_of(words))
    except MemoryUnavailable:
        return None


async def _arbitrated(
    weighed: Weighed,
    turn: Turn,
    held: Held | None,
    *,
    cards: Mapping[Role, ModelCard],
    occupancy: Occupancy,
    deps: Deps,
) -> Wish:
    """The arbiter's word where the classifier abstains; its guess where the arbiter would keep somebody waiting."""
    card, arbiter = cards.get(ARBITER), deps.arbiter
    if arbiter is None or card is None:
        return weighed.wish
    if len({each.name for each in cards.values()}) == 1:
        return weighed.wish  # whoever it is, the same model answers
    # Its prompt would push a conversation's own out of the model's cache.
    in_use = held is not None and held.model == card.name
    if in_use or turn.from_machine or occupancy.calls.get(card.name) or not occupancy.holds(card.name):
        return weighed.wish
    question = Question(weighed_words(turn, held), held.role if held else None, turn.previous_text if held else "")
    role = None
    try:
        async with asyncio.timeout(arbiter.timeout_s), deps.models.lease(card) as model:
            chain = arbiter_chain(model, jobs=arbiter.jobs, options=card.options, thinks=card.thinking)
            role = await ask_arbiter(chain, question)
    except (TimeoutError, RouterError):
        pass
    return weighed.wish if role is None else with_verdict(weighed.wish, role)


def _expected(
    cards: Mapping[Role, ModelCard], parts: PromptParts, held: Held | None, occupancy: Occupancy, deps: Deps
) -> dict[Role, Expected]:
    """Seconds to the first token by role; {} where it is not known what is loaded."""
    if occupancy.loaded is None:
        return {}
    rates = deps.speeds.rates
    expected: dict[Role, Expected] = {}
    for role, card in cards.items():
        same = held is not None and held.model == card.name
        ahead_s = deps.speeds.answer_s(role, ANSWER_AHEAD_TOKENS)
        expected[role] = rates.expected(
            role,
            resident=occupancy.holds(card.name),
            prompt_tokens=parts.total,
            cached_tokens=min(held.prompt_tokens, parts.total) if held and same else 0,
            waiting_s=occupancy.calls.get(card.name, 0) * ahead_s,
        )
    return expected

"""Who answers where the decided model fails before its first token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from backends.types import ModelCard
from chains.ledger import Ledger
from config.errors import (
    BackendError,
    BackendUnavailable,
    FirstTokenTimeout,
    LoadTimeout,
    ModelBroken,
    ModelMissing,
    SmallerWindow,
)
from config.schema import Role
from graphs.state import RouterState

_OF_THE_MODEL = (ModelMissing, ModelBroken, LoadTimeout, FirstTokenTimeout)


def with_stand_in(
    state: RouterState, error: BackendError, cards: Mapping[Role, ModelCard], order: Sequence[Role]
) -> RouterState | None:
    """The state with the next role of `order` that can take the request; None where there is none, or it cannot help.

    Another model of the same server helps where this one is unwell or its server failed at it; not where the server is
    away, the request is wrong, or our own queue is full. Where the role has another model by now, as another server
    has taken over, the request goes to that one, whatever it failed of; where its model turned out to have a smaller
    window, it stays with it if it fits.
    """
    if state_now := _with_card_of_now(state, error, cards):
        return state_now
    if not isinstance(error, _OF_THE_MODEL) and (not error.transient or isinstance(error, BackendUnavailable)):
        return None
    decision = state["decision"]
    why = f"{decision.model} failed ({type(error).__name__})"
    ruled_out = {**decision.ruled_out, decision.role: why}
    for role in order:
        card = cards.get(role)
        if card is None or role in ruled_out or card.name == decision.model:
            continue
        ledger = _in_window(state, card)
        if ledger is not None:
            fallback = f"{decision.role}: {why}"
            reason = f"{decision.reason}; {role} stands in, as {why}"
            decision = replace(
                decision, role=role, model=card.name, reason=reason, ruled_out=ruled_out, fallback=fallback
            )
            return {**state, "decision": decision, "card": card, "ledger": ledger}
    return None


def _with_card_of_now(state: RouterState, error: BackendError, cards: Mapping[Role, ModelCard]) -> RouterState | None:
    decision = state["decision"]
    card = cards.get(decision.role)
    if card is None:
        return None
    is_smaller = isinstance(error, SmallerWindow) and card.window_tokens < state["card"].window_tokens
    if card.name == decision.model and not is_smaller:
        return None
    ledger = _in_window(state, card)
    if ledger is None:
        return None
    if card.name != decision.model:
        reason = f"{decision.reason}; planned anew, as {decision.model} has gone"
        decision = replace(decision, model=card.name, reason=reason)
    return {**state, "decision": decision, "card": card, "ledger": ledger}


def _in_window(state: RouterState, card: ModelCard) -> Ledger | None:
    wanted = state["turn"].sampling.answer_limit_tokens or card.answer_limit_tokens
    return state["ledger"].in_window(card.window_tokens, min(wanted, card.answer_limit_tokens))

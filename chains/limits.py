"""Hard limits: which models cannot take a request at all, and the error where none can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from chains.ledger import PromptParts
from chains.turn import Turn
from config.errors import BackendUnavailable, BadRequest, RouterError
from config.schema import ROLES, Role

BROKEN_RETRY_AFTER_S = 5.0


class Candidate(Protocol):
    """What must be known of a model to choose it."""

    @property
    def name(self) -> str: ...
    @property
    def tools(self) -> bool: ...
    @property
    def vision(self) -> bool: ...
    @property
    def window_tokens(self) -> int: ...


def rule_out(
    turn: Turn,
    parts: PromptParts,
    candidates: Mapping[Role, Candidate],
    *,
    model_names: Mapping[Role, str],
    broken: Mapping[str, str],
) -> dict[Role, str]:
    """The roles that cannot answer, with the reason; `broken` are models, by name, whose breaker is open and why."""
    reasons = {
        role: _unfit(turn, parts, candidates[role]) or broken.get(candidates[role].name)
        if role in candidates
        else f"{model_names[role]} is not there (`ollama pull {model_names[role]}`)"
        for role in ROLES
    }
    return {role: reason for role, reason in reasons.items() if reason}


def nothing_left(
    turn: Turn,
    parts: PromptParts,
    candidates: Mapping[Role, Candidate],
    ruled_out: Mapping[Role, str],
    *,
    broken: Mapping[str, str],
) -> RouterError:
    """The error where every role is ruled out."""
    able = [each for each in candidates.values() if _unable(turn, each) is None] or list(candidates.values())
    largest = max(able, key=lambda candidate: candidate.window_tokens, default=None)
    window = largest.window_tokens if largest else 0
    counted = parts.as_counted_by(largest.name) if largest else parts
    if not counted.fits(window):
        return counted.too_long(window)
    reasons = "; ".join(f"{role}: {why}" for role, why in ruled_out.items())
    if any(_unfit(turn, parts, each) is None for each in candidates.values() if each.name in broken):
        return BackendUnavailable(
            f"No model can take this request now ({reasons}): try again.", retry_after_s=BROKEN_RETRY_AFTER_S
        )
    if turn.has_images:
        return BadRequest(f"No model that is there can see these images ({reasons}): send text only.", param="messages")
    return BadRequest(f"No model that is there can take this request ({reasons}): send no tools.", param="tools")


def _unfit(turn: Turn, parts: PromptParts, candidate: Candidate) -> str | None:
    if unable := _unable(turn, candidate):
        return unable
    counted = parts.as_counted_by(candidate.name)
    if not counted.fits(candidate.window_tokens):
        return f"{counted.total} tokens do not fit the window of {candidate.name} ({candidate.window_tokens})"
    return None


def _unable(turn: Turn, candidate: Candidate) -> str | None:
    if turn.has_images and not candidate.vision:
        return f"{candidate.name} cannot see images"
    if turn.offers_tools and not candidate.tools:
        return f"{candidate.name} cannot call tools"
    return None

"""Which role answers: what the client asked for, what the models can, then the rules of `models.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from chains.ledger import PromptParts
from chains.turn import AUTOMATIC, Turn
from config.errors import BadRequest, UnknownModel
from config.schema import ROLES, Mode, Role, RoutingRule, RoutingSettings

MAX_MATCHED_CHARS = 4000
VISION_ROLE: Role = "memory_analysis"


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


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """Which role and model answer, why, and which were ruled out (by role, with the reason)."""

    role: Role
    model: str
    reason: str
    wanted: Role
    ruled_out: Mapping[Role, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Router:
    """The rules and the names a client may use."""

    routing: RoutingSettings
    fallbacks: Mapping[Role, tuple[Role, ...]]
    model_names: Mapping[Role, str]
    automatic_names: frozenset[str]

    def decide(self, turn: Turn, parts: PromptParts, candidates: Mapping[Role, Candidate]) -> RouteDecision:
        """Choose among `candidates`, the models that are there, for a prompt of `parts` tokens.

        Raises:
            UnknownModel: the request names a model that is neither this service, a role nor a role's model.
            ContextTooLong: no model that is there has a window for the request.
            BadRequest: no model that is there can do what the request needs (images, tools).
        """
        wanted, reason = self._wanted(turn, candidates)
        ruled_out = self._ruled_out(turn, parts, candidates)
        for role in (wanted, *self.fallbacks.get(wanted, ()), *ROLES):
            if role not in ruled_out:
                if role != wanted:
                    reason = f"{reason}; {wanted} ruled out: {ruled_out[wanted]}"
                return RouteDecision(role, candidates[role].name, reason, wanted, ruled_out)
        raise _nothing_left(turn, parts, candidates, ruled_out)

    def _wanted(self, turn: Turn, candidates: Mapping[Role, Candidate]) -> tuple[Role, str]:
        if turn.model != AUTOMATIC and turn.model not in self.automatic_names:
            return self._asked_for(turn.model, candidates), f"asked for by model id {turn.model}"
        if turn.has_images:
            return VISION_ROLE, "the request has images"
        return decide_by_rules(self.routing, turn.person_text, turn.mode)

    def _ruled_out(self, turn: Turn, parts: PromptParts, candidates: Mapping[Role, Candidate]) -> dict[Role, str]:
        reasons = {
            role: _unfit(turn, parts, candidates[role])
            if role in candidates
            else f"{self.model_names[role]} is not there (`ollama pull {self.model_names[role]}`)"
            for role in ROLES
        }
        return {role: reason for role, reason in reasons.items() if reason}

    def _asked_for(self, model: str, candidates: Mapping[Role, Candidate]) -> Role:
        for role in ROLES:
            if model in {role, self.model_names[role]}:
                return role
        for role, candidate in candidates.items():
            if model == candidate.name:
                return role
        names = ", ".join([*sorted(self.automatic_names), *ROLES])
        raise UnknownModel(f"There is no model {model[:100]!r}: use one of {names}.", param="model")


def decide_by_rules(routing: RoutingSettings, person_text: str, mode: Mode) -> tuple[Role, str]:
    """The first rule that matches the person's words (their first 4,000 characters), else the default role.

    The reason is logged and kept, so it does not quote them.
    """
    text = person_text[:MAX_MATCHED_CHARS]
    for rule in _by_priority(routing.rules):
        if rule.modes and mode not in rule.modes:
            continue
        if _compiled(rule.pattern).search(text):
            return rule.role, f"rule '{rule.name}' matched"
    return routing.default_role, "no rule matched: the default role"


@lru_cache(maxsize=64)
def _by_priority(rules: Sequence[RoutingRule]) -> tuple[RoutingRule, ...]:
    return tuple(sorted(rules, key=lambda rule: -rule.priority))


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _unfit(turn: Turn, parts: PromptParts, candidate: Candidate) -> str | None:
    if turn.has_images and not candidate.vision:
        return f"{candidate.name} cannot see images"
    if turn.offers_tools and not candidate.tools:
        return f"{candidate.name} cannot call tools"
    if not parts.fits(candidate.window_tokens):
        return f"{parts.total} tokens do not fit the window of {candidate.name} ({candidate.window_tokens})"
    return None


def _nothing_left(
    turn: Turn, parts: PromptParts, candidates: Mapping[Role, Candidate], ruled_out: Mapping[Role, str]
) -> BadRequest:
    largest = max((candidate.window_tokens for candidate in candidates.values()), default=0)
    if not parts.fits(largest):
        return parts.too_long(largest)
    reasons = "; ".join(f"{role}: {why}" for role, why in ruled_out.items())
    if turn.has_images:
        return BadRequest(f"No model that is there can see these images ({reasons}): send text only.", param="messages")
    return BadRequest(f"No model that is there can take this request ({reasons}): send no tools.", param="tools")

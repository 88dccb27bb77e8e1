"""Which role answers: what was asked for, the lock, the rules, the classifier; then limits and seconds.

Pure and quick: what has to be awaited (a vector, the arbiter's word, which models are loaded) is fetched by the graph
between the steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from chains.asked_for import wish_by_name
from chains.decision import Considered, RouteDecision, Wish
from chains.features import Previous
from chains.ledger import PromptParts
from chains.limits import Candidate, nothing_left, rule_out
from chains.lock import Held, is_follow_up, wish_of_follow_up, wish_of_lock
from chains.rules import wish_by_rules
from chains.seconds import Expected, choose, hand_over
from chains.turn import Turn
from config.schema import ROLES, Role, RoutingSettings

VISION_ROLE: Role = "memory_analysis"
# Any model can name or sum up a conversation: the small one soonest, and none is worth a reload.
ERRAND_FIT: Mapping[Role, float] = {"memory_fast": 0.334, "implementation": 0.333, "memory_analysis": 0.333}


class Opinion(Protocol):
    """What a classifier thinks of some words."""

    @property
    def probabilities(self) -> Mapping[Role, float]: ...
    @property
    def evidence(self) -> tuple[str, ...]: ...
    @property
    def abstains(self) -> bool: ...


class RoleClassifier(Protocol):
    """Says how well each role fits a person's words."""

    def classify(
        self, text: str, *, vector: Sequence[float] | None = None, previous: Previous | None = None
    ) -> Opinion: ...


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known beside the request itself.

    `expected` has the seconds to the first token by role, which decide nothing unless `seconds_count`; `broken` the
    models whose breaker is open, with the reason.
    """

    held: Held | None = None
    expected: Mapping[Role, Expected] = field(default_factory=dict)
    seconds_count: bool = True
    broken: Mapping[str, str] = field(default_factory=dict)


NOTHING_KNOWN = Circumstances()


@dataclass(frozen=True, slots=True)
class Weighed:
    """A wish that came of weighing; `abstains` where somebody else had better be asked."""

    wish: Wish
    abstains: bool = False


@dataclass(frozen=True, slots=True)
class Router:
    """The rules, the names a client may use, and the classifier where there is one."""

    routing: RoutingSettings
    fallbacks: Mapping[Role, tuple[Role, ...]]
    model_names: Mapping[Role, str]
    automatic_names: frozenset[str]
    classifier: RoleClassifier | None = None

    def wish(self, turn: Turn, candidates: Mapping[Role, Candidate], held: Held | None = None) -> Wish | None:
        """What needs no weighing: a name, the lock, images, an errand, a word to go on, a rule; else None.

        Raises:
            UnknownModel: the request names a model that is neither this service, a role nor a role's model.
        """
        named = wish_by_name(
            turn, candidates, model_names=self.model_names, automatic_names=self.automatic_names
        ) or wish_of_lock(turn, held)
        if named is not None:
            return named
        if turn.has_images:
            return Wish(VISION_ROLE, "the request has images", "images")
        if turn.is_errand:
            why = "the client's own errand: a title or a summary"
            return Wish("memory_fast", why, "errand", probabilities=ERRAND_FIT)
        if not self._may_begin_what_was_planned(turn, held) and (going_on := wish_of_follow_up(turn, held)):
            return going_on
        return wish_by_rules(self.routing.rules, words_of(turn), turn.mode)

    def weigh(self, turn: Turn, held: Held | None = None, vector: Sequence[float] | None = None) -> Weighed:
        """What the classifier thinks of the person's words, else the default role."""
        words = weighed_words(turn, held)
        if self.classifier is None or not words:
            why = "no rule matched" if words else "there are no words of a person's"
            return Weighed(self._undecided(turn, held, why))
        previous = Previous(held.role, turn.previous_text) if held else None
        opinion = self.classifier.classify(words, vector=vector, previous=previous)
        if opinion.abstains and (going_on := wish_of_follow_up(turn, held)):
            return Weighed(going_on)
        role = max(opinion.probabilities, key=lambda role: opinion.probabilities[role])
        confidence = opinion.probabilities[role]
        how = "is not sure: its best guess" if opinion.abstains else "finds"
        wish = Wish(
            role,
            f"the classifier {how} {role} ({confidence:.2f})",
            "classifier",
            confidence,
            opinion.evidence,
            opinion.probabilities,
        )
        return Weighed(wish, opinion.abstains)

    def decide(
        self,
        turn: Turn,
        parts: PromptParts,
        candidates: Mapping[Role, Candidate],
        circumstances: Circumstances = NOTHING_KNOWN,
        wish: Wish | None = None,
    ) -> RouteDecision:
        """Choose among `candidates`, the models that are there, for a prompt of `parts` tokens.

        `wish` is what the steps before came to; without it they are gone through here.

        Raises:
            UnknownModel: as `wish`.
            ContextTooLong: no model that is there has a window for the request.
            BadRequest: no model that is there can do what the request needs (images, tools).
            BackendUnavailable: only models that just failed could.
        """
        held, broken = circumstances.held, circumstances.broken
        wish = wish or self.wish(turn, candidates, held) or self.weigh(turn, held).wish
        ruled_out = rule_out(turn, parts, candidates, model_names=self.model_names, broken=broken)
        allowed = [role for role in ROLES if role not in ruled_out]
        if not allowed:
            raise nothing_left(turn, parts, candidates, ruled_out, broken=broken)
        role, reason = self._chosen(wish, allowed, circumstances)
        if wish.role in ruled_out:
            reason = f"{reason}; {wish.role} ruled out: {ruled_out[wish.role]}"
        return RouteDecision(
            role=role,
            model=candidates[role].name,
            reason=reason,
            wanted=wish.role,
            ruled_out=ruled_out,
            step=wish.step,
            confidence=wish.confidence,
            evidence=wish.evidence,
            candidates=tuple(
                replace(
                    self._considered(each, candidates, circumstances, wish),
                    reason=ruled_out.get(each) or _why_not(each, role, wish),
                    ruled_out=each in ruled_out,
                )
                for each in ROLES
            ),
            fallback=f"{wish.role}: {ruled_out[wish.role]}" if wish.role in ruled_out else None,
        )

    def _undecided(self, turn: Turn, held: Held | None, why: str) -> Wish:
        if held is not None and not turn.person_text:
            return Wish(held.role, f"{why}: the conversation's role", "lock")
        return Wish(self.routing.default_role, f"{why}: the default role", "default", confidence=0.0)

    def _may_begin_what_was_planned(self, turn: Turn, held: Held | None) -> bool:
        """Whether "yes" may tell to build what an analysis laid out: that is the classifier's to say, where it can."""
        return (
            self.classifier is not None
            and held is not None
            and held.role == "memory_analysis"
            and not (held.mode == "plan" and turn.mode in {"act", "yolo"})
            and is_follow_up(turn.person_text)
        )

    def _chosen(self, wish: Wish, allowed: Sequence[Role], circumstances: Circumstances) -> tuple[Role, str]:
        expected = {role: circumstances.expected[role] for role in allowed if role in circumstances.expected}
        if wish.probabilities is None or not expected or not circumstances.seconds_count:
            ranked = (wish.role, *self.fallbacks.get(wish.role, ()), *ROLES)
            return next(role for role in ranked if role in allowed), wish.reason
        fit = hand_over(wish.probabilities, allowed, self.fallbacks)
        choice = choose(fit, expected, _serving(circumstances.held, fit, expected))
        # Where the wished one cannot answer, its stand-in "fits best" only by what it was handed over.
        says_all = choice.role == wish.role or (wish.role not in allowed and choice.kind != "stayed")
        return choice.role, wish.reason if says_all else f"{wish.reason}; {choice.reason}"

    def _considered(
        self, role: Role, candidates: Mapping[Role, Candidate], circumstances: Circumstances, wish: Wish
    ) -> Considered:
        return Considered(
            role=role,
            model=candidates[role].name if role in candidates else self.model_names[role],
            fit=None if wish.probabilities is None else wish.probabilities.get(role, 0.0),
            expected=circumstances.expected.get(role),
        )


def _serving(held: Held | None, fit: Mapping[Role, float], expected: Mapping[Role, Expected]) -> Role | None:
    """The role to stay with unless a switch pays: the conversation's, else the best fit of those that are loaded."""
    if held is not None:
        return held.role
    loaded = [role for role in expected if expected[role].load_s == 0]
    return max(loaded, key=lambda role: fit.get(role, 0.0), default=None)


def _why_not(role: Role, chosen: Role, wish: Wish) -> str:
    """What a candidate that could answer is told by."""
    if role == chosen:
        return "chosen"
    if wish.probabilities is None:
        return "not asked for"
    return "the switch does not pay" if role == wish.role else "fits less"


def weighed_words(turn: Turn, held: Held | None) -> str:
    """What the classifier is shown: the latest words, beside which it knows of the turn before if there is a record."""
    return turn.person_text if held else words_of(turn)


def words_of(turn: Turn) -> str:
    """The words a role is found by: the latest, or those before where the latest only say to go on."""
    if turn.previous_text and is_follow_up(turn.person_text):
        return turn.previous_text
    return turn.person_text

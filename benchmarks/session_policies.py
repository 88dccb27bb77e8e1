"""The ways to route that `benchmarks.sessions` compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from benchmarks.session_plans import Step
from benchmarks.simulated_machine import Machine, Took
from chains.features import Previous
from chains.ledger import MIN_ANSWER_TOKENS
from chains.rules import wish_by_rules
from chains.seconds import NEEDLESSLY_LARGE_S, TOO_SMALL_S, Rates, choose, hand_over
from config.schema import ROLES, ModelsFile, Role, RoutingRule

# The rules of this service before it had a classifier: what routing by keywords alone comes to. They are a yardstick
# here and stay as they are, whatever becomes of those in models.yaml.
KEYWORDS: tuple[tuple[Role, str], ...] = (
    ("memory_analysis", r"\b(update|initiali[sz]e|create|write|rewrite|refresh)\b.{0,30}\bmemory[ _-]?bank\b"),
    ("memory_fast", r"\b(read|check|load|look (at|into)|follow)\b.{0,40}\b(memory[ _-]?bank|custom instructions)\b"),
    ("memory_analysis", r"\b(architect(ure|ural)?|trade-?offs?|road-?map|migration (plan|strategy)|make a plan)\b"),
    ("memory_analysis", r"\b(design (a|the|an|our)|plan (the|out|for|how)|(whole|entire) (project|code ?base|repo))\b"),
    ("memory_analysis", r"\breview (the|this|our|my) (project|code ?base|repo(sitory)?|architecture)\b"),
    ("memory_fast", r"\b(where (are|were|did) we|what('s| is) (left|next|the status|the state)|status|remind me)\b"),
    ("memory_fast", r"\b(progress so far|summari[sz]e (the|our) (progress|status)|what did we|did we already)\b"),
    ("implementation", r"\b(implement|refactor|debug|fix|write|add|build|create|change|rename|extract|port|migrate)\b"),
    ("implementation", r"\b(optimi[sz]e|test|unit tests?|traceback|stack ?trace|exception|compile|crash(es|ed)?)\b"),
    ("memory_fast", r"^\s*(what|which|who|where|when|why|is|are|do|does|did|can|how)\b[^\n]{0,160}\?\s*$"),
)
KEYWORD_RULES = tuple(
    RoutingRule(name=f"keywords {number}", role=role, priority=100 - number, pattern=pattern)
    for number, (role, pattern) in enumerate(KEYWORDS)
)


class Found(Protocol):
    """What a classifier found."""

    @property
    def role(self) -> Role: ...
    @property
    def probabilities(self) -> Mapping[Role, float]: ...


class Classifies(Protocol):
    """What is asked of a classifier."""

    def classify(
        self, text: str, *, vector: Sequence[float] | None = None, previous: Previous | None = None
    ) -> Found: ...


class Embeds(Protocol):
    """What is asked of an embedder."""

    def embed_query(self, text: str) -> list[float]: ...


@dataclass
class EmbeddedWords:
    """A classifier that is given the words' vector too; each text is embedded once."""

    classifier: Classifies
    embedder: Embeds
    vectors: dict[str, list[float]] = field(default_factory=dict)

    def classify(self, text: str, *, vector: Sequence[float] | None = None, previous: Previous | None = None) -> Found:
        if vector is None and text not in self.vectors:
            self.vectors[text] = self.embedder.embed_query(text)
        return self.classifier.classify(text, vector=vector or self.vectors[text], previous=previous)


class Policy(Protocol):
    """Routes one request after the other, and is told what became of each."""

    def route(self, step: Step, machine: Machine) -> Role: ...

    def answered(self, step: Step, role: Role, took: Took) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """The windows, and who answers where one is too small: hard limits that every policy keeps to."""

    windows: Mapping[Role, int]
    fallbacks: Mapping[Role, tuple[Role, ...]]

    @classmethod
    def of(cls, models: ModelsFile) -> Self:
        return cls(
            {role: settings.num_ctx for role, settings in models.roles.items()},
            {role: settings.fallbacks for role, settings in models.roles.items()},
        )

    def fits(self, role: Role, tokens: int) -> bool:
        return tokens + MIN_ANSWER_TOKENS <= self.windows[role]

    def fitting(self, role: Role, tokens: int) -> Role:
        """The role, else the first of its fallbacks that has room."""
        return next((each for each in (role, *self.fallbacks[role]) if self.fits(each, tokens)), "memory_analysis")


class Keywords:
    """The first keyword rule that the newest message matches, else implementation."""

    def route(self, step: Step, machine: Machine) -> Role:  # noqa: ARG002
        wish = wish_by_rules(KEYWORD_RULES, step.newest_text, step.mode)
        return wish.role if wish else "implementation"

    def answered(self, step: Step, role: Role, took: Took) -> None: ...


@dataclass
class Classifying:
    """The classifier over the newest message, knowing the person's turn before."""

    classifier: Classifies
    previous: dict[str, Previous] = field(default_factory=dict)
    known: dict[tuple[str, Previous | None], Found] = field(default_factory=dict)

    def route(self, step: Step, machine: Machine) -> Role:  # noqa: ARG002
        return self.classify(step, step.newest_text).role

    def classify(self, step: Step, text: str) -> Found:
        key = (text, self.previous.get(step.task))
        if key not in self.known:
            self.known[key] = self.classifier.classify(text, previous=key[1])
        return self.known[key]

    def answered(self, step: Step, role: Role, took: Took) -> None:  # noqa: ARG002
        if step.starts_turn:
            self.previous[step.task] = Previous(role, step.person_text)


@dataclass
class Lock(Classifying):
    """The classifier over the person's words, once a turn."""

    locked: dict[str, Role] = field(default_factory=dict)

    def route(self, step: Step, machine: Machine) -> Role:
        locked = self.locked.get(step.task)
        return self.turn(step, machine) if step.starts_turn or locked is None else locked

    def turn(self, step: Step, machine: Machine) -> Role:  # noqa: ARG002
        return self.classify(step, step.person_text or step.newest_text).role

    def answered(self, step: Step, role: Role, took: Took) -> None:
        super().answered(step, role, took)
        self.locked[step.task] = role


@dataclass(kw_only=True)
class Ours(Lock):
    """The lock, and between turns the expected seconds against the gain in fit.

    It learns each model's speed from what its answers took. A new conversation, such as a
    sub-agent's, is weighed from the model that answered last; `open_loop` is a conversation whose tool loop goes on,
    and the prompt it will come back with.
    """

    limits: Limits
    rates: Rates
    too_small_s: float = TOO_SMALL_S
    needlessly_large_s: float = NEEDLESSLY_LARGE_S
    open_loop: tuple[str, int] | None = None

    def turn(self, step: Step, machine: Machine) -> Role:
        current = self.locked.get(step.task) or machine.last_used
        expected = {
            role: self.rates.expected(
                role,
                resident=machine.is_resident(role),
                prompt_tokens=step.prompt.tokens,
                cached_tokens=machine.cached_tokens(role, step.prompt),
            )
            for role in ROLES
            if self.limits.fits(role, step.prompt.tokens)
        }
        found = self.classify(step, step.person_text or step.newest_text)
        choice = choose(
            hand_over(found.probabilities, expected, self.limits.fallbacks),
            expected,
            current,
            leaving_s=self._leaving_s(step, current),
            too_small_s=self.too_small_s,
            needlessly_large_s=self.needlessly_large_s,
        )
        return choice.role

    def answered(self, step: Step, role: Role, took: Took) -> None:
        super().answered(step, role, took)
        self.rates.learn(
            role,
            load_s=took.load_s or None,
            prompt_tokens=step.prompt.tokens,
            prefill_s=took.prefill_s,
            cached_tokens=took.cached_tokens,
        )
        if not step.sub_agent:
            self.open_loop = None if step.ends_turn else (step.task, step.prompt.tokens)

    def _leaving_s(self, step: Step, current: Role | None) -> float:
        if current is None or self.open_loop is None or self.open_loop[0] == step.task:
            return 0.0
        return self.rates.expected(current, resident=False, prompt_tokens=self.open_loop[1]).total_s

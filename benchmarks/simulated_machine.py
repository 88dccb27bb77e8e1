"""A machine on a clock of its own: which models are loaded, what they have cached, how long they take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chains.seconds import Speed
from config.schema import Role


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request as a model sees it; its first `kept_tokens` are those of the conversation's previous prompt."""

    conversation: str
    tokens: int
    kept_tokens: int
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class Took:
    """What one answer took; `evicted` tells that another model had to make room."""

    load_s: float
    prefill_s: float
    answer_s: float
    cached_tokens: int
    evicted: bool

    @property
    def waited_s(self) -> float:
        """Seconds to the first token."""
        return self.load_s + self.prefill_s


@dataclass
class Machine:
    """Models share `resident_models` places, the one used longest ago gives way; each caches one conversation's prefix.

    A model that gives way loses its cache. `slots` holds, by loaded model, the conversation it saw last and how much of
    it, the answer included, in the order of use.
    """

    speeds: Mapping[Role, Speed]
    resident_models: int = 1
    clock_s: float = 0.0
    slots: dict[Role, tuple[str, int]] = field(default_factory=dict)

    @property
    def last_used(self) -> Role | None:
        """The model that answered last."""
        return next(reversed(self.slots), None)

    def is_resident(self, role: Role) -> bool:
        """Whether the role's model is loaded."""
        return role in self.slots

    def cached_tokens(self, role: Role, prompt: Prompt) -> int:
        """How much of the prompt the role's model need not read again."""
        conversation, held = self.slots.get(role, ("", 0))
        return min(held, prompt.kept_tokens, prompt.tokens) if conversation == prompt.conversation else 0

    def answer(self, role: Role, prompt: Prompt) -> Took:
        """Load what must be loaded, read what is not cached, answer, and move the clock."""
        speed = self.speeds[role]
        cached = self.cached_tokens(role, prompt)
        resident = self.is_resident(role)
        self.slots.pop(role, None)
        evicted = len(self.slots) >= self.resident_models
        while len(self.slots) >= self.resident_models:
            del self.slots[next(iter(self.slots))]
        self.slots[role] = (prompt.conversation, prompt.tokens + prompt.answer_tokens)
        took = Took(
            load_s=0.0 if resident else speed.load_s,
            prefill_s=(prompt.tokens - cached) / speed.prefill_tokens_per_s,
            answer_s=prompt.answer_tokens / speed.answer_tokens_per_s,
            cached_tokens=cached,
            evicted=evicted,
        )
        self.clock_s += took.waited_s + took.answer_s
        return took

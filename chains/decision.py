"""What was decided for a request, by which step, and what each other model would have meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from chains.seconds import Expected
from config.schema import Role

Step = Literal["asked_for", "lock", "images", "errand", "follow_up", "rules", "classifier", "arbiter", "default"]


@dataclass(frozen=True, slots=True)
class Wish:
    """Which role should answer, before it is known who can.

    `probabilities` are how well each role fits where that was weighed: then seconds count as well. None is a wish that
    no cost changes.
    """

    role: Role
    reason: str
    step: Step
    confidence: float = 1.0
    evidence: tuple[str, ...] = ()
    probabilities: Mapping[Role, float] | None = None


@dataclass(frozen=True, slots=True)
class Considered:
    """One role's model: how well it fits, when its first token would come, or why it cannot answer."""

    role: Role
    model: str
    reason: str = ""
    fit: float | None = None
    expected: Expected | None = None
    ruled_out: bool = False

    def report(self) -> dict[str, Any]:
        """As plain values."""
        seconds = self.expected and {
            "total": round(self.expected.total_s, 2),
            "load": round(self.expected.load_s, 2),
            "prefill": round(self.expected.prefill_s, 2),
            "queue": round(self.expected.queue_s, 2),
        }
        return {
            "role": self.role,
            "model": self.model,
            "fit": None if self.fit is None else round(self.fit, 3),
            "expected_s": seconds,
            "reason": self.reason,
            "ruled_out": self.ruled_out,
        }


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """Which role and model answer, and why; `wanted` is the role that was meant before limits and seconds counted.

    `reason` quotes none of the person's words, as it is logged; `evidence` may name single ones and is told only to who
    sent them. `fallback` is the role that should have answered and why it did not, where another stands in for it.
    """

    role: Role
    model: str
    reason: str
    wanted: Role
    ruled_out: Mapping[Role, str] = field(default_factory=dict)
    step: Step = "default"
    confidence: float = 1.0
    evidence: tuple[str, ...] = ()
    candidates: tuple[Considered, ...] = ()
    fallback: str | None = None

    def report(self) -> dict[str, Any]:
        """All of it as plain values, for a client that asks and for `POST /v1/route`."""
        return {
            "role": self.role,
            "model": self.model,
            "reason": self.reason,
            "step": self.step,
            "wanted": self.wanted,
            "confidence": round(self.confidence, 3),
            "evidence": list(self.evidence),
            "candidates": [candidate.report() for candidate in self.candidates],
            "ruled_out": dict(self.ruled_out),
            "fallback": self.fallback,
        }

    def considered(self) -> str:
        """The candidates on one line, for the log."""
        return "; ".join(_short(candidate) for candidate in self.candidates)


def _short(candidate: Considered) -> str:
    if candidate.ruled_out:
        return f"{candidate.role} ruled out"
    fit = "" if candidate.fit is None else f" fit {candidate.fit:.2f}"
    seconds = "" if candidate.expected is None else f" {candidate.expected.total_s:.1f} s"
    return f"{candidate.role}{fit}{seconds}"

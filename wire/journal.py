"""One log line a request: who answered and why, what it cost, how it ended. Never what was said."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from chains.decision import RouteDecision
from chains.events import Finished, Leased, Retried, Routed, RouterEvent
from chains.prefix import TOOLS

CLIENT_GONE = "client_gone"
MAX_HEADER_CHARS = 200
_NOT_PRINTABLE = re.compile(r"[^ -~]")

log = structlog.get_logger("request")


@dataclass(slots=True)
class RequestJournal:
    """Gathers what a request's line needs; `close` writes it once, and shows the journal to each of `watchers`.

    A watcher returns at once, raises nothing, and keeps no text of a person's. `queued_s` is None where no call waited
    for its place.
    """

    request_id: str
    dialect: str = "unknown"
    stream: bool = False
    started: float = field(default_factory=time.perf_counter)
    routed: Routed | None = None
    routed_at: float = 0.0
    finished: Finished | None = None
    first_token_s: float | None = None
    queued_s: float | None = None
    retries: list[str] = field(default_factory=list)
    outcome: str = ""
    watchers: tuple[Callable[[RequestJournal], None], ...] = ()

    @property
    def closed(self) -> bool:
        """Whether the line is written."""
        return bool(self.outcome)

    def saw(self, event: RouterEvent) -> None:
        """Take note of an event."""
        if isinstance(event, Routed):
            self.routed, self.routed_at = event, time.perf_counter()
        elif isinstance(event, Leased):
            self.queued_s = (self.queued_s or 0.0) + event.queued_s
        elif isinstance(event, Retried):
            self.retries.append(event.error)
        elif isinstance(event, Finished):
            self.finished = event
        elif self.first_token_s is None:
            self.first_token_s = time.perf_counter() - self.started

    def headers(self) -> dict[str, str]:
        """The response headers that tell the decision, as far as it is known."""
        headers = {"x-request-id": self.request_id}
        if self.routed:
            headers |= decision_headers(self.routed.decision) | {
                "x-router-context": self.routed.ledger.header(),
                "x-router-conversation": _header_text(self.routed.conversation),
            }
        return headers

    def explanation(self) -> dict[str, Any] | None:
        """The whole decision, for a client that asks; None while it is not known."""
        return self.routed.decision.report() if self.routed else None

    def close(self, outcome: str) -> None:
        """Write the line; `outcome` is `ok`, `CLIENT_GONE` or an error's code."""
        if self.closed:
            return
        self.outcome = outcome
        if outcome == CLIENT_GONE and self.routed and self.queued_s is None:  # it gave up in the queue
            self.queued_s = time.perf_counter() - self.routed_at
        facts: dict[str, Any] = {
            "id": self.request_id,
            "outcome": outcome,
            "dialect": self.dialect,
            "stream": self.stream,
            "total_s": round(time.perf_counter() - self.started, 3),
        }
        if self.first_token_s is not None:
            facts["first_token_s"] = round(self.first_token_s, 3)
        if self.retries:
            facts["retried_after"] = self.retries
        log.info("request", **facts, **self._routing(), **self._counts())
        for watch in self.watchers:
            watch(self)

    def _routing(self) -> dict[str, Any]:
        if self.routed is None:
            return {}
        decision, ledger = self.routed.decision, self.routed.ledger
        return {
            "conversation": self.routed.conversation,
            "queued_s": None if self.queued_s is None else round(self.queued_s, 3),
            "role": decision.role,
            "model": decision.model,
            "why": decision.reason,
            "step": decision.step,
            "wanted": decision.wanted,
            "fallback": decision.fallback,
            "confidence": round(decision.confidence, 3),
            "candidates": decision.considered(),
            "context": ledger.header(),
            "passages": len(self.routed.sources),
            "memory_note": self.routed.memory_note,
            **self._prefix(),
        }

    def _prefix(self) -> dict[str, Any]:
        """Where the prompt left the conversation's last one; nothing where it goes on from it, or is the first."""
        left = self.routed.left if self.routed else None
        if left is None:
            return {}
        return {
            "prefix_left_at_message": "tools" if left.message == TOOLS else left.message,
            "prefix_left_at_tokens": left.tokens,
            "prefix_left_by": left.by,
        }

    def _counts(self) -> dict[str, Any]:
        if self.finished is None:
            return {}
        usage, timings = self.finished.usage, self.finished.timings
        facts: dict[str, Any] = {"finish": self.finished.reason}
        if self.finished.ended_by:
            facts["ended_by"] = self.finished.ended_by
        if self.finished.reading == "cut":
            facts["prompt_cut"] = True
        if self.finished.repairs:
            facts["repairs"] = dict(Counter(self.finished.repairs))
        if usage:
            facts |= {"prompt_tokens": usage.prompt_tokens, "answer_tokens": usage.answer_tokens}
            if usage.cached_tokens is not None:
                facts["cached_tokens"] = usage.cached_tokens
        if timings:
            facts |= {
                "load_s": round(timings.load_s, 3),
                "prefill_s": round(timings.prefill_s, 3),
                "answer_s": round(timings.answer_s, 3),
            }
        return facts


def decision_headers(decision: RouteDecision) -> dict[str, str]:
    """Who answers and why, as response headers."""
    headers = {
        "x-router-role": decision.role,
        "x-router-model": _header_text(decision.model),
        "x-router-reason": _header_text(decision.reason),
    }
    return headers | ({"x-router-fallback": _header_text(decision.fallback)} if decision.fallback else {})


def _header_text(text: str) -> str:
    """Printable ASCII, cut to some length: what every HTTP stack takes in a header."""
    return _NOT_PRINTABLE.sub("?", text[:MAX_HEADER_CHARS])

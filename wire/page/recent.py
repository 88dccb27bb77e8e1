"""The last requests, as the page shows them: decisions, counts and durations, never what was said."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from chains.events import Routed, Timings, Usage
from wire.journal import RequestJournal

KEPT = 50
# Ollama reports tens of milliseconds for a model that was loaded all along.
LEAST_SWITCH_S = 0.2


def _now() -> datetime:
    return datetime.now().astimezone()


@dataclass(frozen=True, slots=True)
class PastRequest:
    """One request that has ended; durations are the model's own, in seconds, None where it told none."""

    id: str
    at: datetime
    dialect: str
    outcome: str
    routed: Routed
    usage: Usage | None
    timings: Timings | None
    first_token_s: float | None
    queued_s: float | None

    @property
    def cached_share(self) -> float | None:
        """The share of the prompt that the model did not have to read, 0 to 1; None where the backend does not tell."""
        usage = self.usage
        if usage is None or usage.cached_tokens is None or not usage.prompt_tokens:
            return None
        return usage.cached_tokens / usage.prompt_tokens


class RecentRequests:
    """The last `KEPT` requests that were routed, and the seconds that loading models took today."""

    def __init__(self, now: Callable[[], datetime] = _now) -> None:
        self._now = now
        self._requests: deque[PastRequest] = deque(maxlen=KEPT)
        self._started = now()
        self._day: date | None = None
        self._switching_s = 0.0

    @property
    def requests(self) -> tuple[PastRequest, ...]:
        """The newest first."""
        return tuple(reversed(self._requests))

    @property
    def switching_today_s(self) -> float:
        """Seconds that requests waited for a model to be loaded, since local midnight or `counted_since`."""
        return self._switching_s if self._day == self._now().date() else 0.0

    @property
    def counted_since(self) -> str:
        """From when that is: nothing is known of the day before this service was started."""
        return "today" if self._started.date() < self._now().date() else f"since the start at {self._started:%H:%M}"

    def find(self, request_id: str) -> PastRequest | None:
        """One of them by its id."""
        return next((each for each in self._requests if each.id == request_id), None)

    def saw(self, journal: RequestJournal) -> None:
        """Keep a closed journal; a request that was refused before it was routed is not kept."""
        if journal.routed is None:
            return
        finished = journal.finished
        past = PastRequest(
            id=journal.request_id,
            at=self._now(),
            dialect=journal.dialect,
            outcome=journal.outcome,
            routed=journal.routed,
            usage=finished.usage if finished else None,
            timings=finished.timings if finished else None,
            first_token_s=journal.first_token_s,
            queued_s=journal.queued_s,
        )
        self._requests.append(past)
        if past.at.date() != self._day:
            self._day, self._switching_s = past.at.date(), 0.0
        if past.timings and past.timings.load_s >= LEAST_SWITCH_S:
            self._switching_s += past.timings.load_s

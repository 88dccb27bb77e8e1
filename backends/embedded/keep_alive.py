"""How long the model counts as loaded: Ollama's `keep_alive`, as numbers of seconds or Go durations.

The weights are mapped for as long as the process lives: they are 98 MB, and mapping them again would gain
nothing. So "loaded" here is what `/api/ps` tells its clients, who plan with it; an unload changes that answer
and frees no memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from backends.embedded.replies import ApiError

DEFAULT_KEEP_ALIVE_S = 300.0
# Ollama reports "for ever" as a date beyond anyone's concern.
_FOREVER = timedelta(days=100 * 365)
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_DURATION = re.compile(rf"[+-]?(?:{_PART.pattern})+")


def parse_keep_alive(value: object) -> float | None:
    """Seconds, `inf` for any negative value, None where it is not given; raises `ApiError` 400."""
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        # Written so that NaN, too, falls to the side of "for ever", and a huge integer is never made a float.
        return float(value) if 0 <= value < _FOREVER.total_seconds() else math.inf
    if isinstance(value, str):
        text = value.strip()
        if text == "0":
            return 0.0
        if _DURATION.fullmatch(text):
            return math.inf if text.startswith("-") else sum(float(n) * _UNIT_S[u] for n, u in _PART.findall(text))
    raise ApiError(400, f"invalid keep_alive: {value!r} is neither seconds nor a duration such as 5m")


class Residency:
    """Until when the model counts as loaded; it does while a request runs, whatever the clock says."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._running = 0
        self._keep_alive_s = DEFAULT_KEEP_ALIVE_S
        self._expires_at = now()

    def expires_at(self) -> datetime | None:
        """None while the model does not count as loaded."""
        if self._running:
            return self._end_of(self._keep_alive_s)
        return self._expires_at if self._expires_at > self._now() else None

    def begin(self, keep_alive_s: float | None) -> None:
        """A request starts; it must be followed by one `end`."""
        self._running += 1
        self._keep_alive_s = DEFAULT_KEEP_ALIVE_S if keep_alive_s is None else keep_alive_s

    def end(self) -> None:
        """A request is over, however it ended; its `keep_alive` starts to run now."""
        self._running -= 1
        self._expires_at = self._end_of(self._keep_alive_s)

    def unload(self) -> None:
        """Count as not loaded, from now or from the end of the last running request."""
        self._keep_alive_s = 0.0
        self._expires_at = self._now()

    def _end_of(self, keep_alive_s: float) -> datetime:
        return self._now() + min(timedelta(seconds=min(keep_alive_s, _FOREVER.total_seconds())), _FOREVER)

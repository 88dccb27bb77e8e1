"""The sections of the page that all who look at it share, each rendered once, however many look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from wire.page.picture import picture_banks, picture_models
from wire.page.rendering import render
from wire.service import RouterService

REFRESH_S = 1.0
# Whoever asks about a bank has its folder looked through.
BANKS_REFRESH_S = 10.0


class Board:
    """Renders when it is asked and due, so that it costs nothing where nobody looks."""

    def __init__(self, service: RouterService, now: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._now = now
        self._rendering = asyncio.Lock()
        self._sections: dict[str, str] = {}
        self._due: dict[str, float] = {}
        self._parts: Mapping[str, tuple[Callable[[], Awaitable[str]], float]] = {
            "models": (self._models, REFRESH_S),
            "requests": (self._requests, REFRESH_S),
            "banks": (self._banks, BANKS_REFRESH_S),
        }

    async def sections(self, *, anew: bool = False) -> dict[str, str]:
        """Each section's HTML by its name; `anew` also what is not due."""
        async with self._rendering:
            now = self._now()
            for name, (render_part, every_s) in self._parts.items():
                if anew or now >= self._due.get(name, now):
                    self._sections[name] = await render_part()
                    self._due[name] = now + every_s
            return dict(self._sections)

    async def _models(self) -> str:
        return render("models.html", picture=await picture_models(self._service))

    async def _requests(self) -> str:
        recent = self._service.recent
        return render(
            "requests.html",
            requests=recent.requests,
            switching_today_s=recent.switching_today_s,
            counted_since=recent.counted_since,
        )

    async def _banks(self) -> str:
        enabled = self._service.settings.memory.enabled
        return render("banks.html", enabled=enabled, banks=await picture_banks(self._service) if enabled else ())

"""Waits for an embedder that loads in a thread of its own."""

from __future__ import annotations

import asyncio
import time

from retrievers.types import Embedder

STEP_S = 0.05


async def loading_ended(embedder: Embedder, *, limit_s: float = 10.0) -> None:
    """Return once loading succeeded or failed, was never begun, or that time is over."""
    ends = time.monotonic() + limit_s
    while embedder.status().state == "loading" and time.monotonic() < ends:  # noqa: ASYNC110 - a thread loads
        await asyncio.sleep(STEP_S)

"""Waits for an embedder that loads in a thread of its own."""

from __future__ import annotations

import asyncio
import threading

from retrievers.types import Embedder

STEP_S = 0.05


async def loading_ended(embedder: Embedder) -> None:
    """Return once loading succeeded or failed, or was never begun."""
    while embedder.status().state == "loading":  # noqa: ASYNC110 - a thread loads
        await asyncio.sleep(STEP_S)


def loading_ended_before(stop: threading.Event, embedder: Embedder) -> bool:
    """Block until loading ended as in `loading_ended`, or `stop` is set; whether it ended."""
    while embedder.status().state == "loading":
        if stop.wait(STEP_S):
            return False
    return True

"""Waits for an embedder that loads in a thread of its own."""

from __future__ import annotations

import asyncio

from retrievers.types import Embedder

STEP_S = 0.05
STEPS = 200


async def loading_ended(embedder: Embedder) -> None:
    """Return once loading succeeded or failed, was never begun, or has taken ten seconds."""
    for _ in range(STEPS):
        if embedder.status().state != "loading":
            return
        await asyncio.sleep(STEP_S)

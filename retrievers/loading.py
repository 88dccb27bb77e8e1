"""Waits for an embedder that loads in a thread of its own."""

from __future__ import annotations

import asyncio

from retrievers.types import Embedder

STEP_S = 0.05


async def loading_ended(embedder: Embedder) -> None:
    """Return once loading succeeded or failed, or was never begun."""
    while embedder.status().state == "loading":  # noqa: ASYNC110 - a thread loads
        await asyncio.sleep(STEP_S)

"""Ends work whose client has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from starlette.types import Receive


async def run_until_hang_up(work: Coroutine[Any, Any, None], receive: Receive, *, name: str) -> bool:
    """Run `work`, and cancel it when the client hangs up; whether it came to its end. The body must have been read."""
    working = asyncio.create_task(work, name=name)
    watching = asyncio.create_task(_hung_up(receive), name="watch-client")
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        watching.cancel()
        working.cancel()
        await asyncio.wait({working, watching})
    if working.cancelled():
        return False
    working.result()
    return True


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

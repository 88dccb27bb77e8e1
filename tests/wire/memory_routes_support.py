"""What the tests of the memory bank's routes share: a bank that was left behind, and how it is asked for."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.retrievers.git_support import needs_git
from tests.support.service import Running

STATUS, SEARCH, REFRESH = "/memory/status", "/memory/search", "/memory/refresh"
BANK = {
    "memory-bank/projectbrief.md": "# Brief\n\nWaters a greenhouse, see `src/pump.ts`.\n",
    "memory-bank/activeContext.md": "# Active\n\n## Now\n\nThe pump waits for the tank, `src/tank.ts`.\n",
    "memory-bank/progress.md": "# Progress\n\n## Next\n\nA frost warning.\n",
}
MARKS = [
    needs_git,
    pytest.mark.asyncio(loop_scope="module"),
    # sentence-transformers and torch load in a thread; their own deprecations are not ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


async def call(running: Running, path: str, **params: Any) -> httpx.Response:
    if path == REFRESH:
        return await running.http.post(path, params=params)
    return await running.http.get(path, params={"q": "frost"} | params if path == SEARCH else params)


def error_of(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", code)
    return error

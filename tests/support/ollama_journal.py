"""What a scripted Ollama was asked and how each answer ended, with ways to wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.support.ollama_http import Request
from tests.support.ollama_replies import JsonObject


class Journal:
    """`chats` are bodies of `/api/chat` with messages, `preloads` without, `embeds` those of `/api/embed`; indices are
    into `chats`.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.chats: list[JsonObject] = []
        self.preloads: list[JsonObject] = []
        self.embeds: list[JsonObject] = []
        self.disconnects: list[int] = []
        self.finished: list[int] = []
        self._changed = asyncio.Event()

    async def wait_request(self, count: int = 1, timeout_s: float = 5.0) -> Request:
        """The request that is the `count`-th of all paths together."""
        await self.until(lambda: len(self.requests) >= count, f"request {count}", timeout_s)
        return self.requests[count - 1]

    async def wait_chat(self, count: int = 1, timeout_s: float = 5.0) -> JsonObject:
        await self.until(lambda: len(self.chats) >= count, f"chat {count}", timeout_s)
        return self.chats[count - 1]

    async def wait_disconnected(self, chat: int = 0, timeout_s: float = 5.0) -> None:
        """Until the client of `chats[chat]` has hung up before its answer was whole."""
        await self.until(lambda: chat in self.disconnects, f"the client of chat {chat} to hang up", timeout_s)

    async def until(self, reached: Callable[[], bool], what: str, timeout_s: float = 5.0) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while not reached():
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"waited {timeout_s} s for {what}") from None

    def notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

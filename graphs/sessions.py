"""What is remembered between requests, in a LangGraph Store: which conversation a prefix belongs to, and the memory
blocks that were put into it. Keys are fingerprints; no message of the client's is kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from langgraph.store.base import BaseStore, GetOp, PutOp

CONVERSATIONS = ("conversations",)
BLOCKS = ("blocks",)
MAX_PREFIXES = 200

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sessions:
    """The records over one store; None remembers nothing. A store that fails is reported and does without."""

    store: BaseStore | None

    async def conversation_of(self, chain: Sequence[str]) -> str | None:
        """The conversation whose longest known prefix these fingerprints share, None for a new one."""
        prefixes = list(reversed(chain))[:MAX_PREFIXES]
        found = await self._get(CONVERSATIONS, prefixes)
        return next((str(found[prefix]["conversation"]) for prefix in prefixes if prefix in found), None)

    async def blocks_of(self, fingerprints: Sequence[str]) -> dict[str, str]:
        """The memory blocks that were put beside these messages, by fingerprint."""
        found = await self._get(BLOCKS, fingerprints)
        return {fingerprint: str(value["block"]) for fingerprint, value in found.items()}

    async def keep_block(self, fingerprint: str, block: str) -> None:
        """Remember what was put beside a message; "" where nothing was."""
        await self._put(BLOCKS, fingerprint, {"block": block})

    async def keep_conversation(self, fingerprint: str, record: Mapping[str, Any]) -> None:
        """Remember that a prefix belongs to `record["conversation"]`, with the route it took."""
        await self._put(CONVERSATIONS, fingerprint, dict(record))

    async def _get(self, namespace: tuple[str, ...], keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        if self.store is None or not keys:
            return {}
        try:
            items = await self.store.abatch([GetOp(namespace, key) for key in keys])
        except (
            sqlite3.Error,
            ValueError,
        ) as error:  # the store wraps what its refresh of the expiry met in a ValueError
            log.warning("session store cannot be read", error=type(error).__name__)
            return {}
        return {key: item.value for key, item in zip(keys, items, strict=True) if item is not None}  # type: ignore[union-attr]

    async def _put(self, namespace: tuple[str, ...], key: str, value: dict[str, Any]) -> None:
        if self.store is None:
            return
        try:
            # A PutOp knows nothing of the store's default expiry; without one the record would stay for ever.
            ttl = (self.store.ttl_config or {}).get("default_ttl")
            await self.store.abatch([PutOp(namespace, key, value, ttl=ttl)])
        except sqlite3.Error as error:
            log.warning("session store cannot be written", error=type(error).__name__)

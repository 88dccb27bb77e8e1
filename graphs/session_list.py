"""The conversations that are remembered, for a person to look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from langgraph.store.base import SearchItem, SearchOp

from graphs.sessions import CONVERSATIONS, Sessions

PAGE_RECORDS = 200


@dataclass(frozen=True, slots=True)
class Conversation:
    """One remembered conversation as of its last request; `prompt_tokens` are estimated."""

    conversation: str
    role: str
    model: str
    reason: str
    mode: str
    prompt_tokens: int
    at: datetime


async def latest_conversations(sessions: Sessions, most: int) -> list[Conversation]:
    """At most `most` conversations, the last used first; reading puts off no expiry."""
    if sessions.store is None:
        return []
    found: dict[str, Conversation] = {}
    offset = 0
    while len(found) < most:
        search = SearchOp(CONVERSATIONS, limit=PAGE_RECORDS, offset=offset, refresh_ttl=False)
        (items,) = await sessions.batch([search])
        if not isinstance(items, list) or not items:
            break
        offset += len(items)
        for item in items:
            if isinstance(item, SearchItem) and (name := item.value.get("conversation")):
                found.setdefault(name, _conversation(item))
    return list(found.values())[:most]


def _conversation(item: SearchItem) -> Conversation:
    record = item.value
    return Conversation(
        conversation=str(record["conversation"]),
        role=str(record.get("role", "")),
        model=str(record.get("model", "")),
        reason=str(record.get("reason", "")),
        mode=str(record.get("mode", "")),
        prompt_tokens=int(record.get("prompt_tokens", 0)),
        at=item.updated_at,
    )

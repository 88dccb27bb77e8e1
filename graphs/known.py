"""What the session records tell of the conversation that a request goes on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chains.lock import Held
from config.schema import ROLES

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the conversation a request goes on with; nothing for a new one.

    Of its first `messages` messages it is known which memory block stands in which (`blocks`: index → key).
    `texts` has those blocks by key. `answered` tells that the newest message was answered before, by whomever it was
    asked. `last_request` is the record that `keep_conversation` was given last for the conversation.
    """

    conversation: str | None = None
    held: Held | None = None
    messages: int = 0
    blocks: Mapping[int, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    answered: bool = False
    last_request: Record = field(default_factory=dict)


def first_known(keys: Sequence[str], found: Mapping[str, Record], session: str | None) -> str | None:
    """The first key with a record, of this session where there is one."""
    known = (key for key in keys if key in found and (session is None or found[key].get("conversation") == session))
    return next(known, None)


def blocks_in(record: Record) -> dict[int, str]:
    """The keys of a conversation's memory blocks, by index of the message that each stands in."""
    return {int(index): str(block) for index, block in (record.get("blocks") or {}).items()}


def held_by(record: Record) -> Held | None:
    """The role and model that have the conversation; None where they are not known."""
    role, mode, tokens = record.get("role"), record.get("mode"), record.get("prompt_tokens")
    if role not in ROLES:
        return None
    return Held(
        role=role,
        model=str(record.get("model", "")),
        mode=mode if mode in {"plan", "act", "yolo"} else "none",
        prompt_tokens=tokens if isinstance(tokens, int) else 0,
    )

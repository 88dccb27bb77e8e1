"""Fingerprints of a conversation's messages: a hash chain, so that each stands for all messages up to its own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from backends.json_bytes import json_bytes

FINGERPRINT_CHARS = 32


def fingerprints(messages: Sequence[BaseMessage], *, place: str = "") -> list[str]:
    """One fingerprint a message, each over the whole conversation so far; equal prefixes give equal fingerprints.

    `place` keeps conversations apart that may not know of each other: the workspace, and who may read what.
    """
    chain: list[str] = []
    digest = hashlib.blake2b(place.encode("utf-8", "surrogatepass"), digest_size=FINGERPRINT_CHARS // 2).digest()
    for message in messages:
        digest = hashlib.blake2b(digest + _canonical(message), digest_size=FINGERPRINT_CHARS // 2).digest()
        chain.append(digest.hex())
    return chain


def _canonical(message: BaseMessage) -> bytes:
    calls = (
        [[call["id"], call["name"], call["args"]] for call in message.tool_calls]
        if isinstance(message, AIMessage)
        else []
    )
    answers = message.tool_call_id if isinstance(message, ToolMessage) else None
    return json_bytes([message.type, message.content, calls, answers])

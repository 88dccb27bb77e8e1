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
        digest = _next(digest, message)
        chain.append(digest.hex())
    return chain


def followed_by(fingerprint: str, message: BaseMessage) -> str:
    """The fingerprint of a conversation up to `fingerprint` and one message more."""
    return _next(bytes.fromhex(fingerprint), message).hex()


def session_key(session: str, *, place: str = "") -> str:
    """What a conversation is found by that a client names; of another length than any fingerprint."""
    text = f"{place}\0{session}".encode("utf-8", "surrogatepass")
    return f"session-{hashlib.blake2b(text, digest_size=FINGERPRINT_CHARS // 2).hexdigest()}"


def _next(digest: bytes, message: BaseMessage) -> bytes:
    return hashlib.blake2b(digest + _canonical(message), digest_size=FINGERPRINT_CHARS // 2).digest()


def _canonical(message: BaseMessage) -> bytes:
    calls = (
        [[call["id"], call["name"], call["args"]] for call in message.tool_calls]
        if isinstance(message, AIMessage)
        else []
    )
    answers = message.tool_call_id if isinstance(message, ToolMessage) else None
    return json_bytes([message.type, message.content, calls, answers])

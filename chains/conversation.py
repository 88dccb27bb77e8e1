"""Fingerprints of a conversation's messages: a hash chain, so that each stands for all messages up to its own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, ToolMessage

from backends.json_bytes import json_bytes

FINGERPRINT_CHARS = 32
# Of some 10 KB each, and 50 where a whole bank is among them.
TEXTS_KNOWN = 32


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


def loose_fingerprints(messages: Sequence[BaseMessage], digests: Sequence[str], *, place: str = "") -> list[str]:
    """The same without regard to what system messages say: clients write those anew, as when the mode is switched.

    `digests` are those of the messages.
    """
    chain: list[str] = []
    last = _hashed(place.encode("utf-8", "surrogatepass"))
    for message, digest in zip(messages, digests, strict=True):
        last = _loosely(last, "" if isinstance(message, SystemMessage) else digest)
        chain.append(last)
    return chain


def loosely_followed_by(fingerprint: str, message: BaseMessage) -> str:
    """`followed_by` for loose fingerprints."""
    return _loosely(fingerprint, digests([message])[0])


def digests(messages: Sequence[BaseMessage]) -> list[str]:
    """One digest a message, of that message alone: what it is known by wherever it stands."""
    return [_hashed(_canonical(message)) for message in messages]


def digest_of(value: object) -> str:
    """The digest of any JSON value, such as tools or a text of ours."""
    return _hashed(json_bytes(value))


@lru_cache(maxsize=TEXTS_KNOWN)
def digest_of_text(text: str) -> str:
    """`digest_of` for texts that each request of a conversation has again."""
    return digest_of(text)


def standing_key(conversation: str, digest: str, before: str) -> str:
    """What a message is known by within its conversation when something ahead of it changed: itself and its neighbour.

    `conversation` is its `session_key`, as two projects may use the same name. The others are digests; `before` is ""
    for the first message, and where the neighbour is not to count.
    """
    return _hashed(f"{conversation}\0{before}\0{digest}".encode("utf-8", "surrogatepass"))


def followed_by(fingerprint: str, message: BaseMessage) -> str:
    """The fingerprint of a conversation up to `fingerprint` and one message more."""
    return _next(bytes.fromhex(fingerprint), message).hex()


def session_key(session: str, *, place: str = "") -> str:
    """What a conversation is found by that a client names; of another length than any fingerprint."""
    text = f"{place}\0{session}".encode("utf-8", "surrogatepass")
    return f"session-{_hashed(text)}"


def _hashed(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=FINGERPRINT_CHARS // 2).hexdigest()


def _loosely(fingerprint: str, digest: str) -> str:
    return _hashed(f"loose {fingerprint} {digest}".encode("ascii"))


def _next(digest: bytes, message: BaseMessage) -> bytes:
    return hashlib.blake2b(digest + _canonical(message), digest_size=FINGERPRINT_CHARS // 2).digest()


def _canonical(message: BaseMessage) -> bytes:
    calls = (
        [[call["id"], call["name"], call["args"]] for call in message.tool_calls]
        if isinstance(message, AIMessage)
        else []
    )
    answers = message.tool_call_id if isinstance(message, ToolMessage) else None
    content = message.content
    if isinstance(message, AIMessage) and isinstance(content, str):
        content = content.strip()  # clients send an answer back trimmed
    return json_bytes([message.type, content, calls, answers])

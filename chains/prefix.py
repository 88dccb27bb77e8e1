"""Where a request's prompt leaves the one before it, which is where the model has to read anew, and who made it so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

TOOLS = -1
KEPT_CHARS = 8  # of a digest: 32 bits tell a changed message from the same one


@dataclass(frozen=True, slots=True)
class PrefixLeft:
    """The first message that differs, and how many tokens stand before it.

    `message` is an index into the request's messages, or `TOOLS`, which models read ahead of all messages.
    """

    message: int
    tokens: int
    by: Literal["client", "ours"]


@dataclass(frozen=True, slots=True)
class PromptPiece:
    """One message of a prompt, or its tools: digests of what the client sent and of what was added, and its tokens."""

    client: str
    ours: str
    tokens: int


@dataclass(frozen=True, slots=True)
class PromptTrace:
    """What a prompt was made of, in the order a model reads it; the first piece are the tools. Holds no text."""

    pieces: tuple[PromptPiece, ...]

    @classmethod
    def of(
        cls,
        tools: tuple[str, int],
        messages: Iterable[tuple[str, int]],
        blocks: Mapping[int, tuple[str, int]],
    ) -> Self:
        """From digests with tokens: of the tools, of each message, of each block by its message's index."""
        pieces = [PromptPiece(tools[0][:KEPT_CHARS], "", tools[1])]
        for index, (digest, tokens) in enumerate(messages):
            block, more = blocks.get(index, ("", 0))
            pieces.append(PromptPiece(digest[:KEPT_CHARS], block[:KEPT_CHARS], tokens + more))
        return cls(tuple(pieces))

    @classmethod
    def from_record(cls, record: object) -> Self | None:
        """As `as_record` gave it; None for anything else."""
        try:
            return cls(tuple(PromptPiece(str(client), str(ours), int(tokens)) for client, ours, tokens in record))  # type: ignore[attr-defined]
        except (TypeError, ValueError):
            return None

    def as_record(self) -> Sequence[Any]:
        """Plain values: hashes and counts."""
        return [[piece.client, piece.ours, piece.tokens] for piece in self.pieces]

    @property
    def tokens(self) -> int:
        """Our count of all of it."""
        return sum(piece.tokens for piece in self.pieces)

    def left(self, before: PromptTrace) -> PrefixLeft | None:
        """Where this prompt leaves `before`; None where one of the two is a prefix of the other."""
        tokens = 0
        # A prompt may be shorter than the one before: that costs the model nothing.
        for message, (now, then) in enumerate(zip(self.pieces, before.pieces, strict=False), start=TOOLS):
            if now.client != then.client:
                return PrefixLeft(message, tokens, "client")
            if now.ours != then.ours:
                # What the client sent of this message stands before what was added to it.
                return PrefixLeft(message, tokens, "ours")
            tokens += now.tokens
        return None

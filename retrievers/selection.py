"""Which passages go into a token budget. Pure functions; none ever returns more tokens than it was given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from retrievers.corpus import Corpus
from retrievers.types import Passage, TokenCounter

# No tokenizer spends less than a token on so many bytes of prose or code: such a bank need not be counted.
BYTES_PER_TOKEN_AT_MOST = 12


def whole_bank(corpus: Corpus, budget_tokens: int, count_tokens: TokenCounter) -> tuple[Passage, ...] | None:
    """One passage a file, in reading order, without blank files; None if they do not all fit."""
    passages = [text.whole for text in corpus.texts if text.chunks]
    if sum(len(passage.text) for passage in passages) > budget_tokens * BYTES_PER_TOKEN_AT_MOST:
        return None
    taken = fill(passages, budget_tokens, count_tokens)
    return taken if len(taken) == len(passages) else None


def fill(passages: Iterable[Passage], budget_tokens: int, count_tokens: TokenCounter) -> tuple[Passage, ...]:
    """The passages that fit, first come first served, each with its `tokens`; one that does not fit is passed over."""
    taken: list[Passage] = []
    left = budget_tokens
    for passage in passages:
        if left <= 0:
            break
        if (tokens := fitting_tokens(passage, left, count_tokens)) is not None:
            taken.append(replace(passage, tokens=tokens))
            left -= tokens
    return tuple(taken)


def fitting_tokens(passage: Passage, most_tokens: int, count_tokens: TokenCounter) -> int | None:
    """Tokens of the passage as rendered; None if more than `most_tokens`, uncounted where its length tells."""
    rendered = passage.rendered
    if len(rendered) > most_tokens * BYTES_PER_TOKEN_AT_MOST:
        return None
    tokens = count_tokens(rendered)
    return tokens if tokens <= most_tokens else None

"""What of the ranked passages goes into a token budget: the nearest lines first, then what stands around them.

Tokens cost seconds on a local model. Lines packed tightly hold in 400 tokens nearly as often the answer as whole
passages in 1,000 (`docs/memory.md`). Nothing here ever returns more tokens than it was given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from retrievers.candidates import Candidate, nearest_lines
from retrievers.lines import GAP, excerpt
from retrievers.ranking import Ranking
from retrievers.types import Passage, TokenCounter

NEAR_TOKENS = 1_000
DOUBTFUL_TOKENS = 300
# Added where vectors do not tell, or only little, as then the evidence is in doubt itself.
UNTOLD_TOKENS = 200
# The evidence below which a bank hardly ever answers, and from which on it mostly does.
DOUBTFUL = 0.4
LIKELY = 0.65


class _Chosen(NamedTuple):
    """Groups of one candidate's lines, in order, and the tokens of the excerpt that they make."""

    groups: Sequence[int]
    tokens: int


def tokens_worth(ranking: Ranking, most_tokens: int) -> int:
    """How much of the bank a question is worth: all of `most_tokens` where an answer is likely, and little where it is
    not, so that noise does not fill the window. Each step of evidence between them multiplies: the first lines hold
    most answers, and the last thousand tokens few.
    """
    least_tokens = DOUBTFUL_TOKENS + UNTOLD_TOKENS * (1 - ranking.trust)
    if most_tokens <= least_tokens:
        return most_tokens
    share = min(1.0, max(0.0, (ranking.evidence - DOUBTFUL) / (LIKELY - DOUBTFUL)))
    return round(least_tokens * math.pow(most_tokens / least_tokens, share))


def pack(ranking: Ranking, budget_tokens: int, count_tokens: TokenCounter) -> tuple[Passage, ...]:
    """Excerpts with the nearest lines, best first, then the rest of the same passages, each with its `tokens`.

    `count_tokens` must count an excerpt as the sum of its lines; see `by_lines`.
    """
    candidates = ranking.candidates
    chosen = _nearest(candidates, min(budget_tokens, NEAR_TOKENS), count_tokens)
    excerpts = [_excerpt(candidates[number], *each) for number, each in chosen.items()]
    left = budget_tokens - sum(each.tokens for each in chosen.values())
    for number, candidate in enumerate(candidates):
        near = chosen[number].groups if number in chosen else ()
        rest = [group for group in range(len(candidate.lines.groups)) if group not in near]
        if not rest:
            continue
        tokens = _tokens(candidate, rest, left, count_tokens)
        if tokens is None:
            break
        excerpts.append(_excerpt(candidate, rest, tokens))
        left -= tokens
    return tuple(excerpts)


def _nearest(candidates: tuple[Candidate, ...], budget_tokens: int, count_tokens: TokenCounter) -> dict[int, _Chosen]:
    """The groups that fit, best first, by the number of their candidate; candidates in the order of their best group.
    All that comes after the first that does not fit is left for later, unless nothing was chosen yet.
    """
    chosen: dict[int, _Chosen] = {}
    left = budget_tokens
    for number, group in nearest_lines(candidates):
        before = chosen.get(number, _Chosen((), 0))
        groups = sorted((*before.groups, group))
        tokens = _tokens(candidates[number], groups, left + before.tokens, count_tokens)
        if tokens is not None:
            chosen[number] = _Chosen(groups, tokens)
            left -= tokens - before.tokens
        elif chosen:
            break
    return chosen


def _tokens(candidate: Candidate, groups: Sequence[int], most_tokens: int, count_tokens: TokenCounter) -> int | None:
    """Tokens of the excerpt with these groups as rendered; None if more than `most_tokens`."""
    lines = candidate.lines
    if len(groups) == len(lines.groups):
        tokens = lines.whole_tokens
    else:
        gaps = sum([after != before + 1 for before, after in pairwise(groups)])
        of_groups = sum([lines.tokens[group] for group in groups])
        tokens = lines.source_tokens + of_groups + gaps * count_tokens(f"{GAP}\n")
    return tokens if tokens <= most_tokens else None


def _excerpt(candidate: Candidate, groups: Sequence[int], tokens: int) -> Passage:
    return excerpt(candidate.passage, candidate.lines.groups, groups, tokens=tokens, score=candidate.similarity)

"""What of the ranked passages goes into a token budget: the nearest lines first, then what stands around them.

Tokens cost seconds on a local model. Lines packed tightly hold in 400 tokens nearly as often the answer as whole
passages in 1,000 (`docs/memory.md`). Nothing here ever returns more tokens than it was given.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

from retrievers.lines import excerpt
from retrievers.ranking import Candidate, Ranking
from retrievers.selection import fill
from retrievers.types import Passage, TokenCounter

NEAR_TOKENS = 1_000
DOUBTFUL_TOKENS = 300
# Added where vectors do not tell, or only little, as then the evidence is in doubt itself.
UNTOLD_TOKENS = 200
# What a line end costs between two groups, and `…` with its own where something is left out between them.
LINE_END_TOKENS = 1
GAP_TOKENS = 2
# The evidence below which a bank hardly ever answers, and from which on it mostly does.
DOUBTFUL = 0.4
LIKELY = 0.65


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
    """Excerpts with the nearest lines, best first, then the rest of the same passages, each with its `tokens`."""
    near_tokens = min(budget_tokens, NEAR_TOKENS)
    chosen = _nearest(ranking.candidates, near_tokens, count_tokens)
    _trim(ranking.candidates, chosen, near_tokens, count_tokens)
    near = [_part(ranking.candidates[number], groups) for number, groups in chosen.items()]
    return fill([*near, *_rest(ranking.candidates, chosen)], budget_tokens, count_tokens)


def _nearest(candidates: tuple[Candidate, ...], budget_tokens: int, count_tokens: TokenCounter) -> dict[int, list[int]]:
    """The groups that about fit, best first, by the number of their candidate; candidates in the order of their best
    group, which fits for sure in the first of them.
    """
    order = sorted(
        (
            (score, number, group)
            for number, found in enumerate(candidates)
            for group, score in enumerate(found.group_scores)
        ),
        key=lambda place: (-place[0], place[1], place[2]),
    )
    chosen: dict[int, list[int]] = {}
    left = budget_tokens
    for _, number, group in order:
        candidate = candidates[number]
        if (before := chosen.get(number)) is None:
            tokens = count_tokens(_part(candidate, [group]).rendered)
        else:
            tokens = count_tokens(candidate.groups[group].text) + LINE_END_TOKENS
            tokens += 0 if group - 1 in before or group + 1 in before else GAP_TOKENS
        if tokens <= left:
            chosen.setdefault(number, []).append(group)
            left -= tokens
        elif chosen:
            break
    return chosen


def _trim(
    candidates: tuple[Candidate, ...], chosen: Mapping[int, list[int]], budget_tokens: int, count_tokens: TokenCounter
) -> None:
    """Drop the last groups of each excerpt that is larger as a whole than its groups were counted."""
    left = budget_tokens
    for number, groups in chosen.items():
        while (tokens := count_tokens(_part(candidates[number], groups).rendered)) > left and len(groups) > 1:
            groups.pop()
        left -= tokens


def _rest(candidates: tuple[Candidate, ...], chosen: Mapping[int, Collection[int]]) -> Iterable[Passage]:
    for number, candidate in enumerate(candidates):
        left_out = set(range(len(candidate.groups))).difference(chosen.get(number, ()))
        if left_out:
            yield _part(candidate, left_out)


def _part(candidate: Candidate, groups: Collection[int]) -> Passage:
    return excerpt(candidate.passage, candidate.groups, groups)

"""The nearest lines go into the budget, whatever stands between them costs."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from chains.counting import count_text
from retrievers.candidates import Candidate
from retrievers.cut_passages import cut_passage
from retrievers.line_counts import by_lines
from retrievers.lines import GAP, excerpt, line_groups
from retrievers.packing import DOUBTFUL, DOUBTFUL_TOKENS, LIKELY, UNTOLD_TOKENS, pack, tokens_worth
from retrievers.ranking import Ranking
from retrievers.selection import fill
from retrievers.types import Passage, TokenCounter


def count_all(text: str) -> int:
    """Words, marks and line ends."""
    return len(re.findall(r"\w+|[^\w\s]|\n", text))


def line(number: int) -> str:
    return f"- point {number} of a list whose points are all long enough to stand alone, or very nearly so indeed"


def candidate(number: int, scores: list[float], count_tokens: TokenCounter = count_all) -> Candidate:
    text = "\n\n".join(line(at) for at in range(len(scores))) + "\n"
    whole = Passage(text, f"memory-bank/f{number}.md", "Progress", 1, 2 * len(scores) - 1, datetime.now(UTC))
    assert len(line_groups(whole)) == len(scores)
    return scored(whole, scores, count_tokens)


def scored(whole: Passage, scores: list[float], count_tokens: TokenCounter) -> Candidate:
    return Candidate(whole, lambda passage: cut_passage(passage, count_tokens), lambda _: scores)


def test_what_stands_between_lines_is_paid_for() -> None:
    found = candidate(0, [0.9, 0.1, 0.8, 0.1, 0.7, 0.1])
    three = excerpt(found.passage, found.lines.groups, {0, 2, 4})
    assert GAP in three.text
    fits = count_all(three.rendered)
    assert line(4) in pack(Ranking((found,), 1.0), fits, count_all)[0].text
    for budget in range(fits - 8, fits):
        taken = pack(Ranking((found,), 1.0), budget, count_all)
        assert [passage.text for passage in taken] == [f"{line(0)}\n{GAP}\n{line(2)}\n"]


_SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(st.lists(_SCORES, min_size=1, max_size=5), st.integers(1, 400), st.integers(1, 3))
def test_the_best_group_that_fits_comes_first(scores: list[list[float]], budget: int, dearer: int) -> None:
    def count_tokens(text: str) -> int:
        # What stands between excerpts may be dear.
        return count_all(text) + dearer * text.count(GAP) * 3

    candidates = tuple(candidate(number, of_groups, count_tokens) for number, of_groups in enumerate(scores))
    taken = pack(Ranking(candidates, 1.0), budget, count_tokens)
    assert [passage.tokens for passage in taken] == [count_tokens(passage.rendered) for passage in taken]
    assert sum(passage.tokens or 0 for passage in taken) <= budget
    fitting = [
        (-score, number, group)
        for number, found in enumerate(candidates)
        for group, score in enumerate(scores[number])
        if count_tokens(excerpt(found.passage, found.lines.groups, {group}).rendered) <= budget
    ]
    if fitting:
        _, number, group = min(fitting)
        assert taken[0].file == f"memory-bank/f{number}.md"
        assert candidates[number].lines.groups[group].text in taken[0].text


_ODD_LINES = st.lists(st.text(alphabet=st.sampled_from("ab設🙂 .\t-'\u3000\x0b"), min_size=1, max_size=90), min_size=1)


@given(_ODD_LINES, st.data())
def test_the_real_tokenizer_counts_an_excerpt_as_its_lines(lines: list[str], data: st.DataObject) -> None:
    whole = Passage("\n".join(lines), "memory-bank/f.md", "Progress", 1, len(lines), datetime.now(UTC))
    groups = len(line_groups(whole))
    scores = data.draw(st.lists(st.floats(0, 1), min_size=groups, max_size=groups))
    if groups:
        taken = pack(Ranking((scored(whole, scores, count_text),), 1.0), 200, by_lines(count_text))
        assert [passage.tokens for passage in taken] == [count_text(passage.rendered) for passage in taken]


def test_what_is_far_too_long_is_not_counted() -> None:
    """Of a question worth little, every passage that was left was counted in vain."""
    short = Passage("the tide gauge\n", "memory-bank/f1.md", "Port", 1, 1, datetime.now(UTC))
    long = replace(short, text=short.text * 40)
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return count_all(text)

    taken = fill([long, short, long], 20, count)
    assert [passage.text for passage in taken] == [short.text]
    assert counted == [short.rendered]


@given(st.floats(-1, 3), st.floats(-1, 3), st.floats(0, 1), st.integers(0, 5_000))
def test_more_evidence_is_never_worth_fewer_tokens(one: float, other: float, trust: float, most: int) -> None:
    def worth(evidence: float) -> int:
        return tokens_worth(Ranking((), evidence, trust), most)

    assert worth(min(one, other)) <= worth(max(one, other)) <= most
    assert worth(LIKELY) == most
    assert min(most, DOUBTFUL_TOKENS) <= worth(DOUBTFUL) <= DOUBTFUL_TOKENS + UNTOLD_TOKENS


def test_words_alone_may_err_and_get_more_in_doubt() -> None:
    by_vectors, by_words = (tokens_worth(Ranking((), DOUBTFUL, trust), 2_000) for trust in (1.0, 0.0))
    assert (by_vectors, by_words) == (DOUBTFUL_TOKENS, DOUBTFUL_TOKENS + UNTOLD_TOKENS)

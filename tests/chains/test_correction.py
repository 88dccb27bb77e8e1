from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.correction import (
    LEARNED_AFTER,
    LEARNED_MARGIN,
    LEAST_FACTOR,
    MOST_FACTOR,
    UNLEARNED_MARGIN,
    Corrections,
    Sent,
)

MODEL = "m"


def learned(factor: float, answers: int = LEARNED_AFTER) -> Corrections:
    corrections = Corrections()
    for number in range(answers):
        sent = 1000 * (number + 1)
        assert corrections.learn(MODEL, Sent(sent), round(sent * factor)) == "whole"
    return corrections


def test_a_model_that_never_answered_has_the_wide_margin() -> None:
    (correction,) = Corrections().of([MODEL]).values()
    assert (correction.factor, correction.margin_share) == (1.0, UNLEARNED_MARGIN)
    assert (correction.of(1000), correction.margin_of(1000)) == (1000, 100)


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.35])
def test_how_a_model_counts_is_learned_and_the_margin_narrows(factor: float) -> None:
    correction = learned(factor).of([MODEL])[MODEL]
    assert correction.of(10_000) == pytest.approx(10_000 * factor, rel=0.001)
    assert correction.margin_share == LEARNED_MARGIN
    assert learned(factor, 1).of([MODEL])[MODEL].margin_share == UNLEARNED_MARGIN


def test_each_model_counts_for_itself() -> None:
    corrections = learned(1.3)
    assert corrections.of([MODEL, "other"])["other"].factor == 1.0


def test_short_prompts_tell_nothing() -> None:
    corrections = Corrections()
    assert corrections.learn(MODEL, Sent(50), 400) == "unknown"
    assert corrections.learn(MODEL, Sent(5000), 0) == "unknown"
    assert corrections.as_record() == {}


def test_a_server_that_cuts_is_seen_at_the_first_long_prompt() -> None:
    corrections = learned(1.0)
    assert corrections.learn(MODEL, Sent(30_000), 4096) == "cut"
    cut = corrections.cuts[MODEL]
    assert (cut.sent_tokens, cut.counted_tokens, cut.times) == (30_000, 4096, 1)
    assert corrections.of([MODEL])[MODEL].factor == pytest.approx(1.0)
    assert corrections.learn(MODEL, Sent(32_000, known_tokens=30_000), 4090) == "cut"
    assert corrections.cuts[MODEL].times == 2
    assert corrections.learn(MODEL, Sent(3_000), 3_000) == "whole"
    assert not corrections.cuts


def test_a_count_that_stays_where_it_was_while_the_prompt_grows_is_a_cut() -> None:
    """Cut to its window, the first prompt is hardly shorter than it was sent."""
    corrections = learned(1.0)
    assert corrections.learn(MODEL, Sent(8_500), 8_192) == "whole"
    assert corrections.learn(MODEL, Sent(10_000, known_tokens=8_500), 8_192) == "cut"


def test_a_longer_prompt_that_counts_less_than_the_one_it_adds_to_is_a_cut() -> None:
    """Cut by some 40 % once, as where a server shifts half of an outgrown prompt away, it passed for a short count."""
    corrections = learned(1.0)
    assert corrections.learn(MODEL, Sent(42_000, known_tokens=39_000, known_counted=39_000), 25_000) == "cut"
    assert corrections.learn(MODEL, Sent(42_000), 25_500) == "whole"  # of a prompt by itself it cannot be told
    shown_less = Sent(10_500, known_tokens=10_000, known_counted=10_000)
    assert corrections.learn(MODEL, shown_less, 9_500) == "whole"


def test_a_server_that_counts_only_what_it_read_anew_is_no_cut() -> None:
    """Some versions of Ollama leave out the cached prefix and say nothing of it."""
    corrections = learned(1.2)
    assert corrections.learn(MODEL, Sent(20_000, known_tokens=19_500), 610) == "only_new"
    assert corrections.learn(MODEL, Sent(20_600, known_tokens=20_000), 730) == "only_new"
    assert corrections.of([MODEL])[MODEL].factor == pytest.approx(1.2, rel=0.01)
    assert not corrections.cuts


def test_a_cached_count_beside_the_new_one_is_added_to_it() -> None:
    corrections = learned(1.0)
    assert corrections.learn(MODEL, Sent(20_000, known_tokens=19_000), 20_000, cached=19_000) == "whole"
    assert corrections.learn(MODEL, Sent(20_500, known_tokens=20_000), 500, cached=20_000) == "whole"
    assert corrections.learn(MODEL, Sent(30_000, known_tokens=20_500), 9_600, cached=100) == "cut"


def test_what_was_learned_outlasts_a_restart() -> None:
    kept = json.loads(json.dumps(learned(1.25).as_record()))
    assert Corrections.from_record(kept).of([MODEL]) == learned(1.25).of([MODEL])


@pytest.mark.parametrize(
    "record",
    [None, [], "x", {MODEL: None}, {MODEL: {"factor": "1"}}, {MODEL: {"factor": 99, "answers": 3}}, {MODEL: {}}],
)
def test_a_record_that_makes_no_sense_is_left_out(record: object) -> None:
    assert Corrections.from_record(record).as_record() == {}


@given(st.lists(st.tuples(st.integers(1, 200_000), st.integers(0, 400_000), st.none() | st.integers(0, 200_000))))
def test_no_count_makes_a_correction_useless(counts: list[tuple[int, int, int | None]]) -> None:
    corrections = Corrections()
    for sent, counted, cached in counts:
        corrections.learn(MODEL, Sent(sent), counted, cached)
    assert LEAST_FACTOR <= corrections.of([MODEL])[MODEL].factor <= MOST_FACTOR


def test_many_threads_learn_at_once() -> None:
    corrections = Corrections()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: corrections.learn(MODEL, Sent(1000 + number), 1100 + number), range(400)))
    assert corrections.as_record()[MODEL]["answers"] == 400

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chains.seconds import (
    LEAST_LEARNED_TOKENS,
    NEEDLESSLY_LARGE_S,
    TOO_SMALL_S,
    Expected,
    Rates,
    Speed,
    choose,
    hand_over,
)
from config.schema import ROLES, Role

START: Mapping[Role, Speed] = {
    "memory_fast": Speed(8, 1500, 50),
    "implementation": Speed(14, 300, 10),
    "memory_analysis": Speed(18, 40, 6),
}
FALLBACKS: Mapping[Role, tuple[Role, ...]] = {
    "memory_fast": ("implementation", "memory_analysis"),
    "implementation": ("memory_analysis", "memory_fast"),
    "memory_analysis": ("implementation", "memory_fast"),
}


def seconds(fast: float, code: float, deep: float) -> dict[Role, Expected]:
    return {role: Expected(0, s, 0) for role, s in zip(ROLES, (fast, code, deep), strict=True)}


def fits(fast: float, code: float, deep: float) -> dict[Role, float]:
    return dict(zip(ROLES, (fast, code, deep), strict=True))


@st.composite
def probabilities(draw: st.DrawFn) -> dict[Role, float]:
    weights = [draw(st.floats(0.001, 1)) for _ in ROLES]
    return {role: weight / sum(weights) for role, weight in zip(ROLES, weights, strict=True)}


roles = st.sampled_from(ROLES)
some_seconds = st.floats(0, 10_000)
all_seconds = st.builds(seconds, some_seconds, some_seconds, some_seconds)
currents = st.sampled_from((None, *ROLES))


def test_a_model_that_is_not_loaded_costs_its_load_and_the_whole_prompt() -> None:
    expected = Rates(START).expected(
        "implementation", resident=False, prompt_tokens=26_000, cached_tokens=20_000, waiting_s=3
    )
    assert (expected.load_s, expected.queue_s) == (14, 3)
    assert expected.prefill_s == pytest.approx(86.7, abs=0.1)
    assert expected.total_s == expected.load_s + expected.prefill_s + expected.queue_s


def test_a_loaded_model_reads_what_is_not_cached() -> None:
    rates = Rates(START)
    assert rates.expected("memory_analysis", resident=True, prompt_tokens=26_000, cached_tokens=25_000) == Expected(
        0, 25, 0
    )
    assert rates.expected("memory_analysis", resident=True, prompt_tokens=1_000, cached_tokens=2_000).total_s == 0


def test_the_reference_machine_is_as_the_design_says() -> None:
    rates = Rates(START)
    reread = {role: rates.expected(role, resident=True, prompt_tokens=26_000).total_s for role in ROLES}
    assert reread["memory_fast"] == pytest.approx(17, abs=1)
    assert reread["memory_analysis"] == pytest.approx(11 * 60, rel=0.02)


def test_the_true_rate_is_found_from_a_start_value_that_is_five_times_off() -> None:
    rates = Rates(START)
    for _ in range(12):
        rates.learn("implementation", load_s=30, prompt_tokens=12_000, prefill_s=12_000 / 1500)
    assert rates.speed("implementation").prefill_tokens_per_s == pytest.approx(1500, rel=0.05)
    assert rates.speed("implementation").load_s == pytest.approx(30, rel=0.05)
    assert rates.speed("memory_fast") == START["memory_fast"]


@given(st.lists(st.sampled_from([0.1, 1.0, 1.0, 1.0, 1.0, 1.0, 20.0]), min_size=30, max_size=60))
def test_a_few_wild_measurements_do_not_carry_the_estimate_away(factors: list[float]) -> None:
    assume(factors.count(1.0) >= 0.7 * len(factors))
    rates = Rates(START)
    for factor in factors:
        rates.learn("implementation", load_s=None, prompt_tokens=10_000, prefill_s=10_000 / (300 * factor))
    assert 300 / 3 < rates.speed("implementation").prefill_tokens_per_s < 300 * 3


def test_one_measurement_moves_it_little_however_wild() -> None:
    rates = Rates(START)
    rates.learn("implementation", load_s=1e6, prompt_tokens=100_000, prefill_s=1e-6)
    speed = rates.speed("implementation")
    assert speed.prefill_tokens_per_s < 300 * 1.25
    assert speed.load_s < 14 * 1.25


def test_a_short_prompt_weighs_less() -> None:
    short, long = Rates(START), Rates(START)
    short.learn("memory_fast", load_s=None, prompt_tokens=400, prefill_s=400 / 3000)
    long.learn("memory_fast", load_s=None, prompt_tokens=4000, prefill_s=4000 / 3000)
    assert 1500 < short.speed("memory_fast").prefill_tokens_per_s < long.speed("memory_fast").prefill_tokens_per_s


@pytest.mark.parametrize(
    ("load_s", "prompt_tokens", "prefill_s", "cached_tokens"),
    [
        (None, None, None, 0),
        (0.03, 0, 0.0, 0),
        (0.0, LEAST_LEARNED_TOKENS - 1, 5.0, 0),
        (-1.0, 5_000, -1.0, 0),
        (float("nan"), 5_000, float("inf"), 0),
        (None, 5_000, 0.01, 4_900),
        (None, -5_000, 1.0, 0),
    ],
)
def test_what_says_nothing_teaches_nothing(
    load_s: float | None, prompt_tokens: int | None, prefill_s: float | None, cached_tokens: int
) -> None:
    rates = Rates(START)
    rates.learn(
        "implementation", load_s=load_s, prompt_tokens=prompt_tokens, prefill_s=prefill_s, cached_tokens=cached_tokens
    )
    assert rates.speed("implementation") == START["implementation"]


def test_what_was_learned_outlives_the_process() -> None:
    rates = Rates(START)
    rates.learn("memory_fast", load_s=20, prompt_tokens=9_000, prefill_s=3)
    again = Rates.from_record(START, json.loads(json.dumps(rates.as_record())))
    assert all(again.speed(role) == rates.speed(role) for role in ROLES)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"memory_fast": None, "implementation": "fast", "memory_analysis": []},
        {"memory_fast": {"load_s": -1, "prefill_tokens_per_s": float("nan"), "answer_tokens_per_s": True}},
        {"memory_fast": {"load_s": "8"}, "a role of a later version": {"load_s": 1}},
    ],
)
def test_a_record_that_makes_no_sense_leaves_the_start_values(record: dict[str, object]) -> None:
    rates = Rates.from_record(START, record)
    assert all(rates.speed(role) == START[role] for role in ROLES)
    assert set(rates.as_record()) == set(ROLES)


def test_threads_lose_no_measurement() -> None:
    one, many = Rates(START), Rates(START)

    def learn(rates: Rates) -> None:
        rates.learn("implementation", load_s=None, prompt_tokens=300, prefill_s=0.5)

    for _ in range(400):
        learn(one)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: learn(many), range(400)))
    assert many.speed("implementation") == one.speed("implementation")


@given(probabilities(), all_seconds)
def test_without_a_current_model_the_most_probable_wins(fit: dict[Role, float], expected: dict[Role, Expected]) -> None:
    role = choose(fit, expected, None).role
    assert fit[role] == max(fit.values())


@given(probabilities(), some_seconds, currents)
def test_with_equal_seconds_the_most_probable_wins(fit: dict[Role, float], each_s: float, current: Role | None) -> None:
    role = choose(fit, seconds(each_s, each_s, each_s), current).role
    assert fit[role] == max(fit.values())


@given(probabilities(), all_seconds, currents, roles, st.tuples(some_seconds, some_seconds))
def test_more_expected_seconds_never_make_a_role_likelier(
    fit: dict[Role, float],
    expected: dict[Role, Expected],
    current: Role | None,
    slower: Role,
    more_and_leaving_s: tuple[float, float],
) -> None:
    more_s, leaving_s = more_and_leaving_s
    worse = expected | {slower: Expected(more_s, expected[slower].prefill_s, 0)}
    before = choose(fit, expected, current, leaving_s=leaving_s).role
    after = choose(fit, worse, current, leaving_s=leaving_s).role
    assert after != slower or before == slower


@given(probabilities(), all_seconds, currents, roles, st.tuples(st.floats(0.01, 0.99), some_seconds))
def test_more_probability_never_makes_a_role_less_likely(
    fit: dict[Role, float],
    expected: dict[Role, Expected],
    current: Role | None,
    likelier: Role,
    share_and_leaving_s: tuple[float, float],
) -> None:
    share, leaving_s = share_and_leaving_s
    better = {role: p * (1 - share) + (share if role == likelier else 0) for role, p in fit.items()}
    before = choose(fit, expected, current, leaving_s=leaving_s)
    after = choose(better, expected, current, leaving_s=leaving_s)
    assert before.role != likelier or after.role == likelier


@given(probabilities(), all_seconds, roles, some_seconds, some_seconds)
def test_what_leaving_costs_later_never_makes_leaving_likelier(
    fit: dict[Role, float], expected: dict[Role, Expected], current: Role, leaving_s: float, more_s: float
) -> None:
    if choose(fit, expected, current, leaving_s=leaving_s).role == current:
        assert choose(fit, expected, current, leaving_s=leaving_s + more_s).role == current


@given(probabilities(), all_seconds, currents)
def test_only_the_best_fit_or_the_current_model_is_chosen(
    fit: dict[Role, float], expected: dict[Role, Expected], current: Role | None
) -> None:
    choice = choose(fit, expected, current)
    best = max(fit, key=lambda role: fit[role])
    assert choice.role in {best, current}
    not_the_best = fit[choice.role] < max(fit.values())
    assert (choice.kind == "stayed") == not_the_best
    assert choice.role == current or not not_the_best


def test_a_small_gain_is_not_worth_eleven_minutes() -> None:
    expected = seconds(1, 90, 680)
    choice = choose(fits(0.40, 0.05, 0.55), expected, "memory_fast")
    assert (choice.role, choice.kind) == ("memory_fast", "stayed")
    assert choice.reason == (
        f"memory_analysis fits best (0.55, memory_fast 0.40), but is worth {0.15 * TOO_SMALL_S:.0f} s"
        " and the switch costs 679 s"
    )
    assert choose(fits(0.04, 0.01, 0.95), expected, "memory_fast").role == "memory_analysis"


def test_too_small_a_model_weighs_heavier_than_too_large_a_one() -> None:
    gap = 0.3
    between_s = gap * (TOO_SMALL_S + NEEDLESSLY_LARGE_S) / 2
    up = choose(fits(0.35, 0.65, 0), seconds(0, between_s, 0), "memory_fast")
    down = choose(fits(0.65, 0.35, 0), seconds(between_s, 0, 0), "implementation")
    assert (up.role, down.role) == ("implementation", "implementation")


def test_a_model_that_may_not_answer_is_no_place_to_stay() -> None:
    expected = seconds(1, 90, 680)
    del expected["memory_fast"]
    assert choose(fits(0.5, 0.3, 0.2), expected, "memory_fast").role == "implementation"
    with pytest.raises(ValueError, match="no role to choose from"):
        choose(fits(0.5, 0.3, 0.2), {}, "memory_fast")


def test_who_stands_in_for_a_role_inherits_its_probability() -> None:
    fit = hand_over(fits(0.6, 0.15, 0.25), ("implementation", "memory_analysis"), FALLBACKS)
    assert fit == {"implementation": pytest.approx(0.75), "memory_analysis": 0.25}


@given(probabilities(), st.sets(roles, min_size=1))
def test_handing_over_loses_no_probability(fit: dict[Role, float], allowed: set[Role]) -> None:
    handed = hand_over(fit, allowed, FALLBACKS)
    assert set(handed) == allowed
    assert sum(handed.values()) == pytest.approx(1)


def test_the_order_of_the_mappings_does_not_matter() -> None:
    fit = fits(0.3, 0.4, 0.3)
    for order, current in product(([*ROLES], [*reversed(ROLES)]), ROLES):
        expected = {role: seconds(5, 5, 5)[role] for role in order}
        assert choose({role: fit[role] for role in order}, expected, current).role == "implementation"

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.captured_sessions import read_sessions
from benchmarks.session_plans import COMPACT_AT_TOKENS, Step, plan_sessions
from benchmarks.session_policies import Classifying, Limits, Lock, Ours
from benchmarks.session_texts import FOLLOWING, OPENING, STARTING_WORK
from benchmarks.sessions import compare, configured_speeds, replay
from benchmarks.simulated_machine import Machine, Prompt
from chains.seconds import Rates, Speed
from config.load import load_settings
from config.schema import ROLES, Role

MODELS = load_settings(environment={}).models
REFERENCE = configured_speeds(MODELS)
ROUND: Mapping[Role, Speed] = {
    "memory_fast": Speed(10, 1000, 100),
    "implementation": Speed(20, 100, 10),
    "memory_analysis": Speed(40, 10, 5),
}


@dataclass(frozen=True)
class Opinion:
    role: Role
    probabilities: Mapping[Role, float]


class CalibratedOracle:
    """Knows the true roles, and is wrong as often as it says; the same words always get the same answer."""

    def __init__(self, sessions: Sequence[Sequence[Step]]) -> None:
        self.true = {step.person_text: step.true_role for session in sessions for step in session}

    def classify(self, text: str, *, vector: Any = None, previous: Any = None) -> Opinion:
        rng = random.Random(repr((text, previous)))  # noqa: S311
        shares = zip(ROLES, (0.12, 0.28, 0.10), strict=True)
        weights = {role: rng.gammavariate(share + (role == self.true.get(text)), 1) for role, share in shares}
        fit = {role: weight / sum(weights.values()) for role, weight in weights.items()}
        return Opinion(max(fit, key=lambda role: fit[role]), fit)


def test_loads_prompts_and_answers_take_their_seconds() -> None:
    machine = Machine(ROUND)
    first = machine.answer("implementation", Prompt("a", 1000, 0, 50))
    assert (first.load_s, first.prefill_s, first.answer_s, first.evicted) == (20, 10, 5, False)
    second = machine.answer("implementation", Prompt("a", 1550, 1050, 50))
    assert (second.load_s, second.prefill_s, second.cached_tokens) == (0, 5, 1050)
    assert machine.clock_s == 20 + 10 + 5 + 5 + 5


def test_a_switch_loses_the_prefix_and_evicts() -> None:
    machine = Machine(ROUND)
    machine.answer("implementation", Prompt("a", 1000, 0, 50))
    between = machine.answer("memory_fast", Prompt("a", 2000, 1050, 100))
    assert (between.load_s, between.prefill_s, between.evicted) == (10, 2, True)
    back = machine.answer("implementation", Prompt("a", 2200, 2100, 50))
    assert (back.load_s, back.prefill_s, back.evicted) == (20, 22, True)


def test_another_conversation_takes_the_cache_of_its_model() -> None:
    machine = Machine(ROUND)
    machine.answer("memory_fast", Prompt("a", 1000, 0, 50))
    machine.answer("memory_fast", Prompt("b", 500, 0, 50))
    assert machine.answer("memory_fast", Prompt("a", 1100, 1050, 50)).waited_s == pytest.approx(1.1)


def test_with_room_for_two_the_one_used_longest_ago_gives_way() -> None:
    machine = Machine(ROUND, resident_models=2)
    machine.answer("memory_fast", Prompt("a", 1000, 0, 0))
    machine.answer("implementation", Prompt("a", 1000, 1000, 0))
    assert machine.answer("memory_fast", Prompt("a", 1500, 1000, 0)).waited_s == pytest.approx(0.5)
    assert machine.answer("memory_analysis", Prompt("a", 1500, 1500, 0)).evicted
    assert [machine.is_resident(role) for role in ROLES] == [True, False, True]
    assert machine.last_used == "memory_analysis"


def test_a_plan_is_the_same_for_the_same_seed_only() -> None:
    assert plan_sessions(sessions=2, turns=5, seed=3) == plan_sessions(sessions=2, turns=5, seed=3)
    assert plan_sessions(sessions=2, turns=5, seed=3) != plan_sessions(sessions=2, turns=5, seed=4)


def test_sessions_look_like_an_agents_work() -> None:
    sessions = plan_sessions(sessions=6, turns=30, seed=5)
    for session in sessions:
        turns = [step for step in session if step.starts_turn and step.true_role]
        assert 30 <= len(turns) <= 45
        assert {step.true_role for step in turns} == set(ROLES)
        assert all(4 <= len(loop) <= 16 for loop in _loops(session))
        assert all(1_000 < step.prompt.tokens <= COMPACT_AT_TOKENS for step in session)
    steps = [step for session in sessions for step in session]
    assert {step.mode for step in steps} == {"plan", "act"}
    assert any(step.sub_agent for step in steps)
    assert max(step.prompt.tokens for step in steps) > 50_000


def test_no_words_stand_for_two_roles() -> None:
    texts = [text for by_role in (OPENING, FOLLOWING) for each in by_role.values() for text in each]
    assert len(texts) + len(STARTING_WORK) >= 115
    assert len({*texts, *STARTING_WORK}) == len(texts) + len(STARTING_WORK)


def test_ours_waits_least_and_never_switches_in_a_tool_loop() -> None:
    sessions = plan_sessions(sessions=12, turns=30, seed=7)
    figures = compare(sessions, CalibratedOracle(sessions), MODELS)
    assert json.loads(json.dumps(figures)) == compare(sessions, CalibratedOracle(sessions), MODELS)
    policies = figures["policies"]
    assert policies["ours"]["switches_in_tool_loops"] == policies["lock"]["switches_in_tool_loops"] == 0
    assert policies["classifier"]["switches_in_tool_loops"] > 0
    assert policies["ours"]["seconds_waited"] == min(each["seconds_waited"] for each in policies.values())
    assert policies["ours"]["switches"] < policies["lock"]["switches"]
    assert policies["ours"]["wrong_role"] <= policies["classifier"]["wrong_role"] + 0.02
    assert policies["lock"]["wrong_role"] == policies["classifier"]["wrong_role"]
    assert all(0 < each["cached_share"] < 1 for each in policies.values())


def test_a_sub_agent_stays_on_the_model_of_the_loop_it_runs_in() -> None:
    parent = [
        Step("p", Prompt("p", 30_000, 0, 50), "build it", "build it", True, False, true_role="implementation"),
        Step("s", Prompt("s", 2_000, 0, 50), "look", "look", True, True, sub_agent=True),
        Step("p", Prompt("p", 30_500, 30_050, 50), "result", "build it", False, True, true_role="implementation"),
    ]
    limits = Limits.of(MODELS)

    class Sure:
        def classify(self, text: str, *, vector: Any = None, previous: Any = None) -> Opinion:
            fast = 0.53 if text == "look" else 0.01
            return Opinion(
                "memory_fast" if fast > 0.5 else "implementation",
                {"memory_fast": fast, "implementation": 0.99 - fast, "memory_analysis": 0.01},
            )

    lock = replay([parent], Lock(Sure()), limits=limits, speeds=REFERENCE)
    ours = replay([parent], Ours(Sure(), limits=limits, rates=Rates(REFERENCE)), limits=limits, speeds=REFERENCE)
    assert (lock.switches, lock.detours_of_sub_agents) == (2, 1)
    assert (ours.switches, ours.detours_of_sub_agents) == (0, 0)


def test_a_window_that_a_loop_outgrows_forces_a_switch() -> None:
    steps = [
        Step("t", Prompt("t", 39_000, 0, 50), "status?", "status?", True, False, true_role="memory_fast"),
        Step("t", Prompt("t", 42_000, 39_050, 50), "result", "status?", False, True, true_role="memory_fast"),
    ]
    oracle = CalibratedOracle([steps])
    tally = replay([steps], Always("memory_fast", oracle), limits=Limits.of(MODELS), speeds=REFERENCE)
    assert (tally.forced_by_window, tally.switches_in_tool_loops, tally.switches) == (1, 0, 1)


class Always(Classifying):
    def __init__(self, role: Role, oracle: CalibratedOracle) -> None:
        super().__init__(oracle)
        self.role = role

    def route(self, step: Step, machine: Machine) -> Role:
        return self.role


def test_captured_requests_become_sessions(tmp_path: Path) -> None:
    first = [
        {"role": "system", "content": "You are an agent."},
        {"role": "user", "content": "add a discount"},
    ]
    call = {"id": "c1", "type": "function", "function": {"name": "read", "arguments": "{}"}}
    then = [
        *first,
        {"role": "assistant", "content": "Reading.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ]
    other = [{"role": "system", "content": "You are an agent."}, {"role": "user", "content": "what is open?"}]
    for number, messages in enumerate((first, then, other), start=1):
        body = {"model": "auto", "messages": messages}
        (tmp_path / f"day_{number:03}.json").write_text(json.dumps({"headers": {}, "body": body}))
    (session,) = read_sessions(tmp_path)
    assert [step.starts_turn for step in session] == [True, False, True]
    assert session[0].task == session[1].task != session[2].task
    assert session[1].prompt.kept_tokens == session[0].prompt.tokens
    assert [step.person_text for step in session] == ["add a discount", "add a discount", "what is open?"]
    assert all(step.true_role is None for step in session)


def _loops(session: Sequence[Step]) -> list[list[Step]]:
    loops: list[list[Step]] = []
    for step in session:
        if not step.sub_agent:
            if step.starts_turn:
                loops.append([])
            loops[-1].append(step)
    return loops

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from chains.decide import Circumstances
from chains.features import Previous
from chains.lock import Held
from chains.seconds import Expected
from chains.turn import Turn
from config.errors import BackendUnavailable, UnknownModel
from config.schema import ROLES, Role
from tests.chains.chain_support import (
    NAMES,
    REFERENCE,
    SMALL,
    Judged,
    Model,
    WordClassifier,
    judged,
    parts,
    person,
    router,
    weighing,
)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_or_its_model_is_taken_at_its_word(role: Role) -> None:
    for name in (role, NAMES[role]):
        decision = router().decide(person("refactor the design", model=name), SMALL, REFERENCE)
        assert (decision.role, decision.wanted, decision.model) == (role, role, NAMES[role])
        assert decision.reason == f"asked for by model id {name}"


def test_the_name_of_the_model_that_plays_a_role_is_known_too() -> None:
    embedded: dict[Role, Model] = {role: Model("smollm2:360m", 8192) for role in ROLES}
    assert router().decide(person("x", model="smollm2:360m"), SMALL, embedded).role == "memory_fast"


@pytest.mark.parametrize("name", ["", "cline-memory-router", "auto", "router-auto"])
def test_automatic_names_leave_the_choice_to_the_rules(name: str) -> None:
    words = person("Fix the crash in parser.py", model=name)
    decision = router(classifier=WordClassifier()).decide(words, SMALL, REFERENCE)
    assert decision.role == "implementation"
    assert decision.step == "classifier"
    assert decision.ruled_out == {}


@pytest.mark.parametrize("name", ["gpt-4o", "AUTO", "memory_fast ", "x" * 5000])
def test_an_unknown_model_lists_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        router().decide(person("hello", model=name), SMALL, REFERENCE)
    assert caught.value.param == "model"
    assert repr(name[:100]) in caught.value.message
    assert caught.value.message.endswith(
        "use one of auto, cline-memory-router, router-auto, memory_fast, implementation, memory_analysis."
    )


def test_a_rule_says_why() -> None:
    decision = router().decide(person("update memory bank"), SMALL, REFERENCE)
    assert (decision.role, decision.step, decision.reason) == (
        "memory_analysis",
        "rules",
        "rule 'memory bank update' matched",
    )
    assert decision.confidence == 1.0


def test_without_rule_and_classifier_the_default_role_answers() -> None:
    decision = router().decide(person("hello"), SMALL, REFERENCE)
    assert (decision.role, decision.step, decision.reason) == (
        "implementation",
        "default",
        "no rule matched: the default role",
    )


def test_the_classifier_weighs_what_no_rule_knows() -> None:
    asks = WordClassifier()
    decision = router(classifier=asks).decide(person("where are we?"), SMALL, REFERENCE)
    assert (decision.role, decision.step, decision.confidence) == ("memory_fast", "classifier", 0.9)
    assert decision.evidence == ("words of memory_fast",)
    assert [(each.role, each.fit) for each in decision.candidates] == [
        ("memory_fast", 0.9),
        ("implementation", pytest.approx(0.05)),
        ("memory_analysis", pytest.approx(0.05)),
    ]
    assert asks.asked == [("where are we?", None, None)]


def test_a_classifier_that_abstains_says_so() -> None:
    weighed = router(classifier=WordClassifier()).weigh(person("hm?"))
    assert weighed.abstains
    assert weighed.wish.reason == "the classifier is not sure: its best guess implementation (0.40)"


def seconds(**by_role: float) -> dict[Role, Expected]:
    return {role: Expected(0.0, by_role[role], 0.0) for role in ROLES}


def test_a_switch_must_pay() -> None:
    """Ten minutes of reading are not worth a fit that is hardly better."""
    asks = router(classifier=WordClassifier(answer=Judged({"implementation": 0.45, "memory_analysis": 0.55})))
    held = Held("implementation", NAMES["implementation"])
    dear = Circumstances(held, seconds(memory_fast=5, implementation=5, memory_analysis=650))
    stays = asks.decide(person("is it sound?"), SMALL, REFERENCE, dear)
    assert (stays.role, stays.wanted) == ("implementation", "memory_analysis")
    assert "the switch costs 645 s" in stays.reason
    assert [each.reason for each in stays.candidates] == ["fits less", "chosen", "the switch does not pay"]
    cheap = Circumstances(held, seconds(memory_fast=5, implementation=5, memory_analysis=30))
    assert asks.decide(person("is it sound?"), SMALL, REFERENCE, cheap).role == "memory_analysis"
    unknown = Circumstances(held, dear.expected, seconds_count=False)
    assert asks.decide(person("is it sound?"), SMALL, REFERENCE, unknown).role == "memory_analysis"


def test_what_was_asked_for_is_worth_any_wait() -> None:
    dear = Circumstances(Held("memory_fast", "m"), seconds(memory_fast=0, implementation=0, memory_analysis=9000))
    turn = person("think", model="memory_analysis")
    decision = router(classifier=WordClassifier()).decide(turn, SMALL, REFERENCE, dear)
    assert decision.role == "memory_analysis"
    assert decision.candidates[2].expected == Expected(0.0, 9000, 0.0)


def test_a_mark_in_the_words_is_asked_for_and_a_model_id_wins() -> None:
    turn = Turn.of_messages([HumanMessage("@deep fix the typo")])
    decision = router(classifier=WordClassifier()).decide(turn, SMALL, REFERENCE)
    assert (decision.role, decision.reason, decision.step) == ("memory_analysis", "asked for with @deep", "asked_for")
    named = replace(turn, model="memory_fast")
    assert router().decide(named, SMALL, REFERENCE).role == "memory_fast"


def loop(**changes: Any) -> Turn:
    """A tool's result has just come in for somebody who asked to fix something."""
    said = AIMessage("", tool_calls=[{"id": "1", "name": "read_file", "args": {}}])
    messages = (HumanMessage("fix it"), said, ToolMessage("42", tool_call_id="1"))
    return Turn(messages, person_text="fix it", person_index=0, from_machine=True, **changes)


@pytest.mark.parametrize("role", ROLES)
def test_a_tool_loop_keeps_its_model(role: Role) -> None:
    """Whatever words, rules and classifier would say now."""
    known = Circumstances(Held(role, NAMES[role]), seconds(memory_fast=900, implementation=900, memory_analysis=900))
    decision = router(classifier=WordClassifier()).decide(loop(), SMALL, REFERENCE, known)
    assert (decision.role, decision.step) == (role, "lock")


def test_a_locked_model_that_cannot_go_on_gives_way_with_the_reason() -> None:
    known = Circumstances(Held("memory_fast", NAMES["memory_fast"]))
    decision = router().decide(loop(), parts(100_000), REFERENCE, known)
    assert (decision.role, decision.wanted, decision.step) == ("implementation", "memory_fast", "lock")
    assert "memory_fast ruled out: 100000 tokens do not fit" in decision.reason


def test_a_stand_in_is_told_by_why_the_wished_role_cannot_answer() -> None:
    """It "fits best (0.90)", the reason said, beside a candidate whose fit was 0.05."""
    asks = router(classifier=WordClassifier(answer=judged("memory_fast")))
    known = Circumstances(expected=seconds(memory_fast=1, implementation=9, memory_analysis=90))
    decision = asks.decide(person("what does it say?"), parts(100_000), REFERENCE, known)
    assert decision.role == "implementation"
    assert decision.reason.startswith("the classifier finds memory_fast (0.90); memory_fast ruled out: 100000 tokens")


def test_an_open_breaker_rules_out_and_is_worth_another_try() -> None:
    down = {NAMES["implementation"]: "it failed three times in a row"}
    decision = router().decide(loop(), SMALL, REFERENCE, Circumstances(broken=down))
    assert (decision.role, decision.ruled_out) == ("memory_analysis", {"implementation": down[NAMES["implementation"]]})
    everything = dict.fromkeys(NAMES.values(), "it failed three times in a row")
    with pytest.raises(BackendUnavailable, match="try again"):
        router().decide(loop(), SMALL, REFERENCE, Circumstances(broken=everything))


def test_a_loop_without_a_record_goes_by_the_words() -> None:
    assert router(classifier=WordClassifier()).decide(loop(), SMALL, REFERENCE).role == "implementation"


def test_words_to_go_on_follow_the_conversation() -> None:
    asks = WordClassifier()
    known = Circumstances(Held("memory_fast", NAMES["memory_fast"]))
    decision = router(classifier=asks).decide(person("continue"), SMALL, REFERENCE, known)
    assert (decision.role, decision.step, asks.asked) == ("memory_fast", "follow_up", [])


def test_words_to_go_on_without_a_record_go_by_the_words_before() -> None:
    turn = person("yes", previous_text="make a plan for it")
    assert router(classifier=WordClassifier()).decide(turn, SMALL, REFERENCE).role == "memory_analysis"


def test_a_plan_that_is_approved_is_built() -> None:
    planned = Circumstances(Held("memory_analysis", NAMES["memory_analysis"], mode="plan"))
    decision = router().decide(person("go ahead", mode="act"), SMALL, REFERENCE, planned)
    assert (decision.role, decision.step) == ("implementation", "follow_up")
    assert router().decide(person("go ahead", mode="plan"), SMALL, REFERENCE, planned).role == "memory_analysis"


@pytest.mark.parametrize(("abstains", "role"), [(False, "implementation"), (True, "memory_analysis")])
def test_yes_after_an_analysis_is_the_classifiers_to_read(*, abstains: bool, role: Role) -> None:
    asks = WordClassifier(answer=judged("implementation", 0.8, abstains=abstains))
    analysed = Circumstances(Held("memory_analysis", NAMES["memory_analysis"]))
    turn = person("yes", previous_text="how would you build it?")
    assert router(classifier=asks).decide(turn, SMALL, REFERENCE, analysed).role == role
    assert asks.asked == [("yes", None, Previous("memory_analysis", "how would you build it?"))]


def test_a_report_is_plain_json() -> None:
    known = Circumstances(expected=seconds(memory_fast=1, implementation=2, memory_analysis=3))
    decision = router(classifier=WordClassifier()).decide(person("fix it"), parts(50_000), REFERENCE, known)
    report = json.loads(json.dumps(decision.report()))
    assert report["role"] == "implementation"
    assert [each["role"] for each in report["candidates"]] == list(ROLES)
    assert report["candidates"][0]["ruled_out"]
    assert report["candidates"][1]["expected_s"] == {"total": 2, "load": 0, "prefill": 2, "queue": 0}
    assert decision.considered() == (
        "memory_fast ruled out; implementation fit 0.90 2.0 s; memory_analysis fit 0.05 3.0 s"
    )


def test_deciding_is_quick() -> None:
    """Three milliseconds at most; the quickest round counts, as a busy machine and coverage slow the others."""
    asks, turn = router(classifier=WordClassifier()), person("please look at this " * 150)
    rounds_s = []
    for _ in range(20):
        begun = time.thread_time()
        for _ in range(5):
            asks.decide(turn, SMALL, REFERENCE)
        rounds_s.append(time.thread_time() - begun)
    assert min(rounds_s) / 5 < 0.003


def test_a_title_is_no_work_for_the_large_model() -> None:
    """A title for "design the billing architecture" loaded the largest model, for its words."""
    title = person("Design the billing architecture", is_errand=True)
    decision = weighing().decide(title, SMALL, REFERENCE)
    assert (decision.role, decision.step) == ("memory_fast", "errand")
    assert weighing().decide(replace(title, mark="memory_analysis"), SMALL, REFERENCE).role == "memory_analysis"


@pytest.mark.parametrize(("large_prefill_s", "role"), [(2.0, "memory_analysis"), (60.0, "memory_fast")])
def test_an_errand_loads_no_model_where_a_loaded_one_has_the_time(large_prefill_s: float, role: Role) -> None:
    expected: dict[Role, Expected] = {
        "memory_fast": Expected(8.0, 0.5, 0.0),
        "implementation": Expected(14.0, 1.0, 0.0),
        "memory_analysis": Expected(0.0, large_prefill_s, 0.0),
    }
    title = person("fix it", is_errand=True)
    assert weighing().decide(title, SMALL, REFERENCE, Circumstances(expected=expected)).role == role

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage

from chains.decide import MAX_MATCHED_CHARS, decide_by_rules
from chains.ledger import MIN_ANSWER_TOKENS
from chains.turn import ToolChoice
from config.errors import BadRequest, ContextTooLong, UnknownModel
from config.schema import ROLES, Mode, Role, RoutingRule, RoutingSettings
from tests.chains.chain_support import (
    IMAGE,
    NAMES,
    REFERENCE,
    SMALL,
    TOOL,
    Model,
    parts,
    person,
    reference_without,
    router,
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
    decision = router().decide(person("Fix the crash in parser.py", model=name), SMALL, REFERENCE)
    assert decision.role == "implementation"
    assert decision.reason == "rule 'changing code' matched"
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


def test_images_go_to_the_model_that_sees() -> None:
    turn = person("fix this", messages=(HumanMessage(["fix this", IMAGE]),))
    decision = router().decide(turn, SMALL, REFERENCE)
    assert (decision.role, decision.reason) == ("memory_analysis", "the request has images")
    assert decision.ruled_out.keys() == {"memory_fast", "implementation"}
    asked = person("fix this", messages=turn.messages, model="memory_fast")
    assert router().decide(asked, SMALL, REFERENCE).role == "memory_analysis"


def test_images_that_nobody_sees_are_the_clients_to_remove() -> None:
    turn = person("fix this", messages=(HumanMessage(["fix this", IMAGE]),))
    with pytest.raises(BadRequest, match=r"No model that is there can see these images .*cannot see") as caught:
        router().decide(turn, SMALL, reference_without("memory_analysis"))
    assert caught.value.param == "messages"


def test_tools_rule_out_models_without() -> None:
    models = REFERENCE | {"implementation": Model("plain", 131_072, tools=False)}
    offered = person("write a parser", tools=(TOOL,))
    decision = router().decide(offered, SMALL, models)
    assert (decision.role, decision.wanted) == ("memory_analysis", "implementation")
    assert decision.reason.endswith("; implementation ruled out: plain cannot call tools")
    hidden = person("write a parser", tools=(TOOL,), tool_choice=ToolChoice("none"))
    assert router().decide(hidden, SMALL, models).role == "implementation"


def test_tools_that_nobody_can_call_are_the_clients_to_remove() -> None:
    models: dict[Role, Model] = {role: Model(role, 9000, tools=False) for role in ROLES}
    with pytest.raises(BadRequest, match="send no tools") as caught:
        router().decide(person("x", tools=(TOOL,)), SMALL, models)
    assert caught.value.param == "tools"


def test_a_window_too_small_falls_to_a_larger_one() -> None:
    decision = router().decide(person("where are we?"), parts(100_000), REFERENCE)
    assert (decision.role, decision.wanted) == ("implementation", "memory_fast")
    assert "100000 tokens do not fit the window of qwen3:30b-a3b (40960)" in decision.reason
    assert router().decide(person("where are we?"), parts(150_000), REFERENCE).role == "memory_analysis"


def test_the_smallest_answer_must_fit_too() -> None:
    exactly = 40_960 - MIN_ANSWER_TOKENS
    assert router().decide(person("where are we?"), parts(exactly), REFERENCE).role == "memory_fast"
    assert router().decide(person("where are we?"), parts(exactly + 1), REFERENCE).role == "implementation"


def test_no_window_large_enough_is_told_with_the_numbers() -> None:
    with pytest.raises(ContextTooLong) as caught:
        router().decide(person("x"), parts(300_000), REFERENCE)
    assert caught.value.message.startswith("This model's maximum context length is 200000 tokens.")
    assert "300000 tokens (system 0, tools 0, history 300000)" in caught.value.message
    assert caught.value.param == "messages"


@pytest.mark.parametrize(
    ("missing", "text", "role"),
    [
        (("implementation",), "fix it", "memory_analysis"),
        (("implementation", "memory_analysis"), "fix it", "memory_fast"),
        (("memory_fast",), "where are we?", "implementation"),
        (("memory_analysis",), "plan the migration", "implementation"),
    ],
)
def test_a_missing_model_falls_back_as_configured(missing: tuple[Role, ...], text: str, role: Role) -> None:
    decision = router().decide(person(text), SMALL, reference_without(*missing))
    assert decision.role == role
    assert "is not there (`ollama pull " in decision.ruled_out[missing[0]]
    assert f"ruled out: {decision.ruled_out[missing[0]]}" in decision.reason


def rules(*values: RoutingRule, default: Role = "implementation") -> RoutingSettings:
    return RoutingSettings(default_role=default, rules=values)


def rule(name: str, role: Role, pattern: str, priority: int = 50, modes: tuple[Mode, ...] = ()) -> RoutingRule:
    return RoutingRule(name=name, role=role, pattern=pattern, priority=priority, modes=modes)


def test_the_highest_priority_decides_then_the_first_in_the_file() -> None:
    routing = rules(
        rule("low", "implementation", "x", 10),
        rule("first", "memory_fast", "x", 60),
        rule("second", "memory_analysis", "x", 60),
    )
    assert decide_by_rules(routing, "x", "act") == ("memory_fast", "rule 'first' matched")


def test_modes_limit_a_rule() -> None:
    routing = rules(rule("planning", "memory_analysis", ".", 90, ("plan",)), default="memory_fast")
    assert decide_by_rules(routing, "x", "plan")[0] == "memory_analysis"
    for mode in ("act", "yolo", "none"):
        assert decide_by_rules(routing, "x", mode) == ("memory_fast", "no rule matched: the default role")


def test_rules_look_at_the_first_words_only() -> None:
    routing = rules(rule("late", "memory_fast", "needle"))
    assert decide_by_rules(routing, "a" * (MAX_MATCHED_CHARS - 6) + "NEEDLE", "none")[0] == "memory_fast"
    assert decide_by_rules(routing, "a" * (MAX_MATCHED_CHARS - 5) + "needle", "none")[0] == "implementation"


def test_a_reason_quotes_none_of_the_persons_words() -> None:
    """It is in every log line and in the session's record."""
    _, reason = decide_by_rules(rules(rule("all", "memory_fast", ".*")), "my password is tide", "none")
    assert reason == "rule 'all' matched"


SHIPPED: list[tuple[str, Role]] = [
    ("update memory bank", "memory_analysis"),
    ("Please initialise the memory bank for this repository", "memory_analysis"),
    ("write today's decisions into the memory-bank", "memory_analysis"),
    ("Refresh memory_bank/activeContext.md", "memory_analysis"),
    ("read memory bank and say what the project is", "memory_fast"),
    ("Follow your custom instructions", "memory_fast"),
    ("Check the memory bank: which database did we choose?", "memory_fast"),
    ("look into the memory bank first, then fix the bug", "memory_fast"),
    ("What trade-offs did you consider for the queue?", "memory_analysis"),
    ("Review the whole project and tell me what is weak", "memory_analysis"),
    ("Make a plan for moving off Redis", "memory_analysis"),
    ("plan the implementation of the importer", "memory_analysis"),
    ("Design an event store that survives restarts", "memory_analysis"),
    ("Is the architecture of the scheduler sound?", "memory_analysis"),
    ("review our codebase before the release", "memory_analysis"),
    ("Give me a migration strategy from Vue 2 to 3", "memory_analysis"),
    ("where are we?", "memory_fast"),
    ("What is left to do on the importer?", "memory_fast"),
    ("what did we decide about time zones", "memory_fast"),
    ("remind me which port the worker uses", "memory_fast"),
    ("Summarize our progress", "memory_fast"),
    ("what's next", "memory_fast"),
    ("Did we already fix the login bug?", "memory_fast"),
    ("Fix the login bug", "implementation"),
    ("implement the retry with backoff", "implementation"),
    ("Why does parse_date throw an exception on leap days?", "implementation"),
    ("rename UserStore to AccountStore everywhere", "implementation"),
    ("Add a --verbose flag to the CLI.", "implementation"),
    ("here is the traceback:\n  File x.py, line 3", "implementation"),
    ("optimise the inner loop", "implementation"),
    ("the build crashed again", "implementation"),
    ("Write unit tests for the tokenizer", "implementation"),
    ("Don't touch the memory bank, just fix the typo", "implementation"),
    ("extract the address block into a component", "implementation"),
    ("port the script to Python 3.13", "implementation"),
    ("What is a monad?", "memory_fast"),
    ("which file holds the settings?", "memory_fast"),
    ("Can you explain this line?", "memory_fast"),
    ("who uses the helper in dates.py?", "memory_fast"),
    ("The colours of the buttons look wrong", "implementation"),
    ("make it faster", "implementation"),
    ("", "implementation"),
    ("Wo stehen wir?", "implementation"),
]


@pytest.mark.parametrize(("text", "role"), SHIPPED)
def test_the_shipped_rules(text: str, role: Role) -> None:
    decision = router().decide(person(text), SMALL, REFERENCE)
    assert (decision.role, decision.wanted) == (role, role), decision.reason


@pytest.mark.parametrize("text", ["statuses", "latest contest", "prefix", "unarchitected", "overwritten", "tests"])
def test_parts_of_words_are_no_words(text: str) -> None:
    assert router().decide(person(text), SMALL, REFERENCE).reason == "no rule matched: the default role"


@given(text=st.text(max_size=300), mode=st.sampled_from(["plan", "act", "yolo", "none"]))
def test_any_words_get_a_role_and_a_reason(text: str, mode: Mode) -> None:
    decision = router().decide(person(text, mode=mode), SMALL, REFERENCE)
    assert decision.role in ROLES
    assert decision.reason


@given(
    tokens=st.integers(0, 300_000),
    windows=st.fixed_dictionaries({}, optional={role: st.integers(256, 250_000) for role in ROLES}),
    wanted=st.sampled_from(ROLES),
)
def test_whatever_is_decided_is_there_and_fits(tokens: int, windows: dict[Role, int], wanted: Role) -> None:
    models = {role: Model(role, window) for role, window in windows.items()}
    fitting = {role for role, window in windows.items() if tokens + MIN_ANSWER_TOKENS <= window}
    if not fitting:
        with pytest.raises(ContextTooLong):
            router().decide(person("x", model=wanted), parts(tokens), models)
        return
    decision = router().decide(person("x", model=wanted), parts(tokens), models)
    assert decision.role in fitting
    assert (decision.role == wanted) == (wanted in fitting)
    assert decision.ruled_out.keys() == set(ROLES) - fitting

from __future__ import annotations

import pytest
from langchain_core.messages import HumanMessage

from chains.ledger import MIN_ANSWER_TOKENS
from chains.turn import ToolChoice
from config.errors import BadRequest, ContextTooLong
from config.schema import ROLES, Role
from tests.chains.chain_support import (
    IMAGE,
    REFERENCE,
    SMALL,
    TOOL,
    Model,
    parts,
    person,
    reference_without,
    router,
    weighing,
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
    decision = weighing().decide(person("where are we?"), parts(100_000), REFERENCE)
    assert (decision.role, decision.wanted) == ("implementation", "memory_fast")
    assert "100000 tokens do not fit the window of qwen3:30b-a3b (40960)" in decision.reason
    assert weighing().decide(person("where are we?"), parts(150_000), REFERENCE).role == "memory_analysis"


def test_the_smallest_answer_must_fit_too() -> None:
    exactly = 40_960 - MIN_ANSWER_TOKENS
    assert weighing().decide(person("where are we?"), parts(exactly), REFERENCE).role == "memory_fast"
    assert weighing().decide(person("where are we?"), parts(exactly + 1), REFERENCE).role == "implementation"


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
    decision = weighing().decide(person(text), SMALL, reference_without(*missing))
    assert decision.role == role
    assert "is not there (`ollama pull " in decision.ruled_out[missing[0]]
    assert f"ruled out: {decision.ruled_out[missing[0]]}" in decision.reason

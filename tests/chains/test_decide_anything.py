from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage

from chains.decide import Circumstances
from chains.ledger import MIN_ANSWER_TOKENS
from chains.lock import Held
from chains.seconds import Expected
from chains.turn import Turn
from config.errors import ContextTooLong, RouterError
from config.schema import ROLES, Mode, Role
from tests.chains.chain_support import (
    IMAGE,
    REFERENCE,
    SMALL,
    Model,
    WordClassifier,
    parts,
    person,
    router,
)

ODD = st.one_of(
    st.text(max_size=200),
    st.sampled_from(["", "@fast", "continue", "はい", "yes", "update memory bank", "\x00", "@deep" * 99]),
)


HELD = st.none() | st.builds(Held, st.sampled_from(ROLES), st.text(max_size=5), st.sampled_from(["plan", "act"]))


@given(
    texts=st.lists(ODD, max_size=4),
    machine=st.booleans(),
    image=st.booleans(),
    held=HELD,
    tokens=st.integers(0, 250_000),
    model=st.sampled_from(["", "auto", "memory_fast", "nobody"]),
    mode=st.sampled_from(["plan", "act", "yolo", "none"]),
    there=st.sets(st.sampled_from(ROLES)),
    prefill=st.none() | st.floats(0, 1e6),
)
def test_odd_turns_get_a_decision_or_one_of_our_errors(
    *,
    texts: list[str],
    machine: bool,
    image: bool,
    held: Held | None,
    tokens: int,
    model: str,
    mode: Mode,
    there: set[Role],
    prefill: float | None,
) -> None:
    messages = [HumanMessage([text, IMAGE] if image else text) for text in texts]
    turn = replace(Turn.of_messages(messages, model=model, mode=mode), from_machine=machine)
    models = {role: REFERENCE[role] for role in there}
    expected = {} if prefill is None else {role: Expected(0.0, prefill, 0.0) for role in there}
    try:
        decision = router(classifier=WordClassifier()).decide(
            turn, parts(tokens), models, Circumstances(held, expected)
        )
    except RouterError:
        return
    assert decision.role in there
    assert decision.reason
    assert 0 <= decision.confidence <= 1


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

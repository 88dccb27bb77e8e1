from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from chains.correction import Correction
from chains.counting import TokenCounts, count_json, count_message, count_text
from chains.ledger import MAX_CHARS_PER_TOKEN, MIN_ANSWER_TOKENS, Ledger, Measured, PromptParts, measure, open_ledger
from chains.turn import Sampling, ToolChoice, Turn
from config.errors import ContextTooLong
from tests.chains.chain_support import TOOL, person

WINDOW = 8192


def sized(turn: Turn) -> Measured:
    return measure(turn, TokenCounts(), largest_window=WINDOW)


def parts_of(turn: Turn) -> PromptParts:
    return sized(turn).parts


def limited(tokens: int | None) -> Sampling:
    return Sampling(answer_limit_tokens=tokens)


def test_parts_are_told_apart() -> None:
    messages = (SystemMessage("You are a bot."), HumanMessage("hello"), AIMessage("hi"), HumanMessage("bye"))
    parts = parts_of(person("bye", messages=messages, tools=(TOOL,)))
    assert parts.system == count_message(messages[0])
    assert parts.history == sum(count_message(message) for message in messages[1:])
    assert parts.tools == count_json([TOOL])
    assert parts.total == parts.system + parts.tools + parts.history
    assert parts.answer == MIN_ANSWER_TOKENS


def test_thinking_counts_while_its_tool_loop_goes_on() -> None:
    """Ollama's templates show a model what it thought since the person spoke; it was sent, and not counted."""
    told = AIMessage("I look.", additional_kwargs={"reasoning_content": "The pump may be dry. " * 50})
    loop = (HumanMessage("look"), told, ToolMessage("dry", tool_call_id="c1"))
    bare = (loop[0], AIMessage("I look."), loop[2])
    thought = parts_of(person("x", messages=loop)).history - parts_of(person("x", messages=bare)).history
    assert thought == count_text("The pump may be dry. " * 50)
    person_speaks = HumanMessage("and now?")
    assert parts_of(person("x", messages=(*loop, person_speaks))) == parts_of(
        person("x", messages=(*bare, person_speaks))
    )


def test_tools_that_are_not_shown_cost_nothing() -> None:
    turn = person("x", tools=(TOOL,), tool_choice=ToolChoice("none"))
    assert parts_of(turn).tools == 0


@pytest.mark.parametrize(("asked", "least"), [(None, 256), (10, 10), (256, 256), (4000, 256)])
def test_the_least_answer_is_what_a_client_asks_for_if_less(asked: int | None, least: int) -> None:
    assert parts_of(person("x", sampling=limited(asked))).answer == least


def test_a_hopeless_text_is_refused_without_counting_it() -> None:
    text = "a" * (WINDOW * MAX_CHARS_PER_TOKEN + 1)
    with pytest.raises(ContextTooLong, match=f"maximum context length is {WINDOW} tokens.*{len(text)} characters"):
        parts_of(person(text))


@pytest.mark.parametrize(
    ("asked", "history", "answer"),
    [(None, 100, 2048), (50, 100, 50), (100_000, 100, 2048), (None, WINDOW - 300, 300)],
)
def test_the_answer_gets_what_was_asked_for_or_what_is_left(asked: int | None, history: int, answer: int) -> None:
    parts = PromptParts(0, 0, history)
    ledger = open_ledger(parts, person("x", sampling=limited(asked)), window=WINDOW, answer_limit=2048)
    assert (ledger.answer, ledger.prompt, ledger.room) == (answer, history, WINDOW - history - answer)


tokens = st.integers(0, 20_000)


@given(
    system=tokens,
    tools=tokens,
    history=tokens,
    window=st.integers(256, 50_000),
    asked=st.none() | st.integers(1, 100_000),
    limit=st.integers(16, 50_000),
    blocks=st.lists(st.integers(0, 3000), max_size=8),
    correction=st.builds(Correction, st.floats(0.5, 2.5), st.floats(0, 0.2)),
)
def test_the_ledger_never_exceeds_the_window(  # noqa: PLR0917 - hypothesis calls it by name
    system: int,
    tools: int,
    history: int,
    window: int,
    asked: int | None,
    limit: int,
    blocks: list[int],
    correction: Correction,
) -> None:
    answer = min(MIN_ANSWER_TOKENS, asked or MIN_ANSWER_TOKENS)
    parts = PromptParts(system, tools, history, answer=answer, corrections={"m": correction}).as_counted_by("m")
    assert parts.total >= (system + tools + history) * correction.factor
    if not parts.fits(window):
        return
    ledger = open_ledger(parts, person("x", sampling=limited(asked)), window=window, answer_limit=limit)
    assert ledger.answer >= min(parts.answer, limit)
    for block in blocks:
        if ledger.prompt + ledger.margin + block > window:
            continue
        before, ledger = ledger, ledger.with_memory(block, ("x",))
        assert ledger.memory == before.memory + block
        assert ledger.answer == min(before.answer, window - ledger.prompt - ledger.margin)
        assert (block > before.room) == (ledger.answer < before.answer)
    assert ledger.prompt + ledger.margin + ledger.answer <= window
    assert ledger.room >= 0
    assert ledger.prompt == parts.total + ledger.memory


def test_what_was_left_out_adds_up() -> None:
    ledger = Ledger(window=WINDOW, system=1, tools=2, history=3, answer=100)
    ledger = ledger.with_memory(0, ("a",)).with_memory(10, ("b",))
    assert ledger.left_out == ("a", "b")
    assert ledger.header() == "window=8192; system=1; tools=2; history=3; memory=10; left_out=2; answer=100; margin=0"


def test_a_client_that_asks_for_all_the_room_leaves_some_for_memory() -> None:
    """Cline asks for all that its window has left; memory then never had any room."""
    wanted = WINDOW - 100
    ledger = open_ledger(
        PromptParts(0, 0, 100), person("x", sampling=limited(wanted)), window=WINDOW, answer_limit=2048
    )
    assert ledger.room == WINDOW - 100 - 2048
    assert ledger.answer_limit(wanted) == WINDOW - 100
    assert ledger.with_memory(500).answer_limit(wanted) == WINDOW - 600
    assert ledger.answer_limit(50) == 50
    assert ledger.answer_limit(None) == 2048

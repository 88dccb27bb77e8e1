from __future__ import annotations

import time
from pathlib import Path

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from chains.turn import AUTOMATIC, Sampling, ToolChoice, Turn, is_base64
from tests.chains.chain_support import IMAGE, TOOL, person


def test_sampling_gives_only_what_was_asked_for() -> None:
    assert Sampling().options() == {}
    assert Sampling(temperature=0.0, top_p=1.0, top_k=0, seed=0, stop=("a", "b")).options() == {
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": 0,
        "seed": 0,
        "stop": ["a", "b"],
    }
    assert Sampling(answer_limit_tokens=5, think=True).options() == {}


def test_images_are_seen_in_any_message() -> None:
    assert not person("x").has_images
    assert not person("x", messages=(HumanMessage(["x", {"type": "text", "text": "image_url"}]),)).has_images
    assert person("x", messages=(HumanMessage(["x", IMAGE]), AIMessage("y"), HumanMessage("z"))).has_images
    assert person("x", messages=(ToolMessage(["x", IMAGE], tool_call_id="1"),)).has_images


def test_base64_may_stand_in_lines_and_takes_no_longer_for_it() -> None:
    """4,000 line breaks within what was no base64 held the event loop for 76 ms, 100,000 for a minute."""
    assert is_base64("AA\r\nA=\r\n")
    started = time.thread_time()
    assert not is_base64("AAA" + "\n" * 1_000_000 + "!")
    assert time.thread_time() - started < 3


def test_tools_are_offered_unless_forbidden() -> None:
    assert not person("x").offers_tools
    assert person("x", tools=(TOOL,)).offers_tools
    assert person("x", tools=(TOOL,), tool_choice=ToolChoice("required")).offers_tools
    assert not person("x", tools=(TOOL,), tool_choice=ToolChoice("none")).offers_tools


def test_a_turn_of_plain_messages() -> None:
    turn = Turn.of_messages([SystemMessage("s"), HumanMessage("old"), AIMessage("a"), HumanMessage("new")])
    assert (turn.person_text, turn.person_index, turn.from_machine) == ("new", 3, False)
    assert (turn.model, turn.mode, turn.workspace, turn.wants_memory) == (AUTOMATIC, "none", None, True)


def test_instructions_in_the_midst_are_not_the_persons() -> None:
    said = [HumanMessage("old"), AIMessage("a"), SystemMessage("x @fast"), HumanMessage("new"), SystemMessage("y")]
    turn = Turn.of_messages([SystemMessage("s"), SystemMessage("t"), *said])
    assert [message.type for message in turn.messages] == ["system", "human", "ai", "human", "human"]
    assert turn.messages[4].text == "<system-reminder>\ny\n</system-reminder>\n\nnew"
    assert (turn.person_text, turn.person_index, turn.mark) == ("new", 4, None)
    assert "x @fast" in turn.messages[3].text


def test_a_turn_in_a_tool_loop() -> None:
    call = AIMessage("", tool_calls=[{"id": "1", "name": "f", "args": {}}])
    messages = [HumanMessage("go"), call, ToolMessage("done", tool_call_id="1")]
    turn = Turn.of_messages(messages, model="memory_fast", workspace=Path("w"), mode="plan")
    assert (turn.person_text, turn.person_index, turn.from_machine) == ("go", 0, True)
    assert (turn.model, turn.workspace, turn.mode) == ("memory_fast", Path("w"), "plan")


def test_a_turn_without_a_person() -> None:
    turn = Turn.of_messages([SystemMessage("s"), AIMessage("a")])
    assert (turn.person_text, turn.person_index, turn.from_machine) == ("", None, False)

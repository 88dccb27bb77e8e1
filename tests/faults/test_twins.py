"""Who hangs up and asks the same again joins the run that the model is at, in place of a second reading."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.conftest import running_tasks
from tests.support.requests import load_request
from tests.support.scripted_ollama import Reply
from tests.support.service import CHAT, Running, ask, eventually
from tests.support.sse_reader import read_answer

HELD = Reply.text("a", "b").gate_before_headers()
SDK = load_request("sdk_first_turn").body


async def asked(running: Running, body: dict[str, object]) -> str:
    return read_answer((await running.http.post(CHAT, json=body)).content).text


@pytest.mark.parametrize("body", [SDK, ask(stream=True)], ids=["cline", "plain"])
async def test_a_client_that_reconnects_gets_the_answer_of_its_first_request(
    running: Running, body: dict[str, object]
) -> None:
    running.ollama.default(HELD)
    first = asyncio.create_task(asked(running, body))
    await running.ollama.wait_held()
    first.cancel()
    await asyncio.wait({first})
    second = asyncio.create_task(asked(running, body))
    await eventually(lambda: running.app.state.intake.running == 1, "the second request")
    await asyncio.sleep(0.6)  # the first one's grace is over
    running.ollama.release()
    assert await second == "ab"
    assert len(running.ollama.chats) == 1


async def test_two_that_are_both_there_get_the_same_stream(running: Running) -> None:
    running.ollama.default(HELD)
    both = [asyncio.create_task(asked(running, SDK)) for _ in range(2)]
    await running.ollama.wait_held()
    await eventually(lambda: running.app.state.intake.running == 2, "the second request")
    running.ollama.release()
    assert await asyncio.gather(*both) == ["ab", "ab"]
    assert len(running.ollama.chats) == 1
    await eventually(lambda: not running_tasks(), "the tasks to end")


async def test_one_of_two_may_go(running: Running) -> None:
    running.ollama.default(HELD)
    both = [asyncio.create_task(asked(running, SDK)) for _ in range(2)]
    await running.ollama.wait_held()
    await eventually(lambda: running.app.state.intake.running == 2, "the second request")
    both[0].cancel()
    await eventually(lambda: running.app.state.intake.running == 1, "the first to be gone")
    running.ollama.release()
    assert await both[1] == "ab"
    assert len(running.ollama.chats) == 1


async def test_nobody_comes_back(running: Running) -> None:
    running.ollama.script(HELD)
    first = asyncio.create_task(asked(running, SDK))
    await running.ollama.wait_held()
    first.cancel()
    await running.ollama.wait_disconnected(0, 1.0)
    await eventually(lambda: not running_tasks(), "the run to end")
    assert await asked(running, SDK) == "ok"
    assert len(running.ollama.chats) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [(SDK, {**SDK, "temperature": 0.3}), (ask("x", stream=True), ask("y", stream=True))],
    ids=["another option", "other words"],
)
async def test_who_asks_something_else_does_not_join(
    running: Running, one: dict[str, object], other: dict[str, object]
) -> None:
    running.ollama.default(HELD)
    first = asyncio.create_task(asked(running, one))
    await running.ollama.wait_held()
    first.cancel()
    await asyncio.wait({first})
    second = asyncio.create_task(asked(running, other))
    await running.ollama.wait_disconnected(0)
    await running.ollama.wait_chat(2)
    await running.ollama.wait_held()
    running.ollama.release()
    assert await second == "ab"


async def test_several_samples_of_one_question_are_several_answers(running: Running) -> None:
    """A script that asks the same three times at once wants three answers."""
    running.ollama.default(Reply.text("a", "b"))
    assert [answer.status_code for answer in await asyncio.gather(*(running.chat() for _ in range(3)))] == [200] * 3
    assert len(running.ollama.chats) == 3


async def test_an_answer_that_has_begun_is_not_joined(running: Running) -> None:
    running.ollama.script(Reply.text("a", "b").gate_after(1), Reply.text("again"))
    async with running.http.stream("POST", CHAT, json=SDK):
        await running.ollama.wait_held()
    assert await asked(running, SDK) == "again"

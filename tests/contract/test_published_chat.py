"""LangServe at `/chat`: a conversation whose answers name their route, which the model does not read again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.scripted_ollama import Reply
from tests.support.service import Running

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # LangServe 0.3.3 reads `model_fields` from an instance.
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute"),
    pytest.mark.filterwarnings("ignore:astream_log is deprecated"),
]
ROUTE = "→ memory_fast · qwen3:30b-a3b · "


def conversation(*messages: tuple[str, str]) -> dict[str, Any]:
    """As the chat playground sends it, with a run's id in each answer."""
    return {"input": {"messages": [{"type": kind, "content": text, "runId": "x"} for kind, text in messages]}}


async def test_an_answer_names_its_route_first(running: Running) -> None:
    running.ollama.script(Reply.text("The tide", " turns."))
    answer = await running.http.post("/chat/invoke", json=conversation(("human", "@fast what turns?")))
    output = answer.json()["output"]
    first, text = output["content"].split("\n\n")
    assert first == ROUTE + output["response_metadata"]["reason"]
    assert text == "The tide turns."


@pytest.mark.parametrize(
    ("shown", "read"),
    [
        (f"{ROUTE}asked for\n\nThe tide\n\nturns.", "The tide\n\nturns."),
        ("The tide\n\n" + ROUTE, "The tide\n\n" + ROUTE),
        ("→ everything · turns · at once\n\nindeed", "→ everything · turns · at once\n\nindeed"),
    ],
)
async def test_the_model_reads_its_answers_as_it_gave_them(running: Running, shown: str, read: str) -> None:
    asked = conversation(("human", "@fast what turns?"), ("ai", shown), ("human", "@fast and then?"))
    await running.http.post("/chat/invoke", json=asked)
    assert running.ollama.chats[-1]["messages"][-2]["content"] == read


async def test_an_answer_in_parts_is_read_as_it_was_given_too(running: Running) -> None:
    """The line stayed in it, and the model read its whole answer as a new one."""
    asked = conversation(("human", "@fast what turns?"), ("ai", ""), ("human", "@fast and then?"))
    parts = [{"type": "text", "text": f"{ROUTE}asked for\n\nThe tide"}, {"type": "text", "text": f"{ROUTE}x\n\n"}]
    asked["input"]["messages"][1]["content"] = parts
    await running.http.post("/chat/invoke", json=asked)
    read = running.ollama.chats[-1]["messages"][-2]["content"]
    assert read.startswith("The tide")
    assert ROUTE in read


async def test_what_a_person_wrote_stays(running: Running) -> None:
    await running.http.post("/chat/invoke", json=conversation(("human", f"{ROUTE}x\n\n@fast what is this?")))
    assert running.ollama.chats[-1]["messages"][-1]["content"].startswith(ROUTE)


async def test_the_page_finds_its_schemas_under_a_configuration(running: Running) -> None:
    for side in ("input", "output"):
        plain = await running.http.get(f"/chat/{side}_schema")
        hashed = await running.http.get(f"/chat/c/N4XyA/{side}_schema", follow_redirects=True)
        assert hashed.json() == plain.json()
    assert (await running.http.get("/chat/c/N4XyA/config_schema")).status_code == 400


async def test_a_question_of_another_form_is_an_openai_error(running: Running) -> None:
    answer = await running.http.post("/chat/batch", json={"inputs": [{"messages": []}]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "messages")


@pytest.mark.parametrize("path", ["/router/stream_log", "/chat/stream_log"])
async def test_nothing_of_the_nodes_is_sent(running: Running, path: str) -> None:
    """What they return broke the stream off, as JSON has no numbers for keys, and held the memory bank's text."""
    async with running.http.stream("POST", path, json=conversation(("human", "hello"))) as answer:
        text = "".join([piece async for piece in answer.aiter_text()])
    assert "final_output" in text
    assert "event: end" in text
    assert "/logs/" not in text

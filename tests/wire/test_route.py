"""`POST /v1/route`, the headers and the field that tell of a decision: over real sockets."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from config.schema import ROLES
from tests.chains.chain_support import IMAGE, TOOL
from tests.support.scripted_ollama import Reply, ScriptedOllama
from tests.support.service import Running, ask, running_service
from tests.support.sse_reader import read_sse

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTE = "/v1/route"
LEDGER = {"window", "prompt", "system", "tools", "history", "memory", "answer", "margin", "room", "left_out"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path_factory.mktemp("service")) as running:
        yield running


async def explained(running: Running, text: str = "update memory bank", **more: Any) -> dict[str, Any]:
    answer = await running.http.post(ROUTE, json=ask(text, **more))
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_a_route_is_explained_without_a_model(running: Running) -> None:
    chats = len(running.ollama.chats)
    told = await explained(running)
    assert told.keys() == {"decision", "ledger"}
    decision = told["decision"]
    assert (decision["role"], decision["step"]) == ("memory_analysis", "rules")
    assert [each["role"] for each in decision["candidates"]] == list(ROLES)
    assert all(each["expected_s"]["total"] >= 0 for each in decision["candidates"])
    assert told["ledger"].keys() == LEDGER
    assert told["ledger"]["window"] == 200_000
    assert len(running.ollama.chats) == chats


async def test_it_says_what_a_chat_then_does(running: Running) -> None:
    for text in ("where are we?", "fix the crash in parser.py", "@deep why?", "review the whole architecture"):
        decision = (await explained(running, text))["decision"]
        headers = (await running.chat(text)).headers
        assert headers["x-router-role"] == decision["role"], text
        assert headers["x-router-model"] == decision["model"]


async def test_what_cannot_be_is_ruled_out(running: Running) -> None:
    body = ask(messages=[{"role": "user", "content": [{"type": "text", "text": "see"}, IMAGE]}], tools=[TOOL])
    decision = (await running.http.post(ROUTE, json=body)).json()["decision"]
    assert (decision["role"], decision["step"]) == ("memory_analysis", "images")
    assert decision["ruled_out"].keys() == {"memory_fast", "implementation"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_request"),
        (b"[]", 400, "invalid_request"),
        (orjson.dumps(ask(messages=[])), 400, "invalid_request"),
        (orjson.dumps(ask(model="gpt-4o")), 404, "model_not_found"),
        (orjson.dumps(ask("word " * 300_000)), 400, "context_length_exceeded"),
    ],
)
async def test_errors_are_those_of_a_chat(running: Running, body: bytes, status: int, code: str) -> None:
    answer = await running.http.post(ROUTE, content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers["x-request-id"]


async def test_it_changes_nothing(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path) as running:
        await running.chat("where are we?")
        before = _records(tmp_path)
        await asyncio.sleep(1.1)  # an expiry that is put off shows in the second it is put off to
        first = await running.http.post(ROUTE, json=ask("where are we?"))
        talk = [
            {"role": "user", "content": "where are we?"},
            {"role": "assistant", "content": "ok"},
            {"role": "user", "content": "continue"},
        ]
        second = (await running.http.post(ROUTE, json=ask(messages=talk))).json()
        assert second["decision"]["step"] == "follow_up"
        assert first.json() == (await running.http.post(ROUTE, json=ask("where are we?"))).json()
        assert _records(tmp_path) == before


def _records(folder: Path) -> list[Any]:
    connection = sqlite3.connect(folder / "vector_stores" / "sessions.sqlite")
    try:
        return connection.execute("SELECT * FROM store ORDER BY prefix, key").fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize("asked", [{"headers": {"x-router-explain": "1"}}, {"metadata": {"router_explain": True}}])
async def test_the_first_chunk_tells_the_decision_on_request(running: Running, asked: dict[str, Any]) -> None:
    answer = await running.chat("update memory bank", stream=True, **asked)
    chunks = [block.json for block in read_sse([answer.content]) if block.data not in {None, "[DONE]"}]
    assert chunks[0]["router"]["role"] == "memory_analysis"
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert not any("router" in chunk for chunk in chunks[1:])
    whole = (await running.chat("update memory bank", **asked)).json()
    assert whole["router"] == chunks[0]["router"] | {"candidates": whole["router"]["candidates"]}


async def test_nobody_is_told_who_did_not_ask(running: Running) -> None:
    answer = await running.chat("update memory bank", stream=True)
    assert b'"router"' not in answer.content
    assert "router" not in (await running.chat("update memory bank")).json()


async def test_the_first_chunk_waits_for_the_decision_where_the_status_does_not(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path, server={"hold_status_s": 0}) as running:
        told = {"x-router-explain": "1"}
        answer = await running.chat("update memory bank", stream=True, headers=told)
        chunks = [block.json for block in read_sse([answer.content]) if block.data not in {None, "[DONE]"}]
        assert chunks[0]["router"]["step"] == "rules"
        refused = await running.chat("word " * 300_000, stream=True, headers=told)
        chunks = [block.json for block in read_sse([refused.content]) if block.data not in {None, "[DONE]"}]
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
        assert chunks[-1]["error"]["code"] == "context_length_exceeded"


async def test_errors_after_the_decision_carry_it(running: Running) -> None:
    running.ollama.script(Reply.http(400, "bad option"))
    answer = await running.chat("update memory bank")
    assert answer.status_code == 400
    assert answer.headers["x-router-role"] == "memory_analysis"
    assert answer.headers["x-router-reason"] == "rule 'memory bank update' matched"


async def test_a_mark_is_not_shown_to_the_model(running: Running) -> None:
    answer = await running.chat("@fast please fix ünïcödé")
    assert answer.headers["x-router-role"] == "memory_fast"
    assert answer.headers["x-router-reason"] == "asked for with @fast"
    assert running.ollama.chats[-1]["messages"][-1]["content"] == "please fix ünïcödé"


async def test_a_mark_in_clines_tags_is_found_and_one_in_a_file_is_not(running: Running) -> None:
    system = "# Tools\n<read_file>\nCurrent Working Directory: /x"
    task = (
        "<task>\n@deep look at this\n</task>\n<environment_details>\n# Current Mode\nACT MODE\n</environment_details>"
    )
    file = "[read_file for 'x.py'] Result:\nimport x @fast here"
    messages = [
        {"role": "system", "content": system},
        {"role": "user", "content": task},
        {"role": "assistant", "content": "<read_file>x.py</read_file>"},
        {"role": "user", "content": [{"type": "text", "text": file}]},
    ]
    decision = await running.chat(messages=messages)
    assert decision.headers["x-router-role"] == "memory_analysis"
    sent = [message["content"] for message in running.ollama.chats[-1]["messages"]]
    assert sent[1] == task.replace("@deep ", "")
    assert sent[3] == file


async def test_speeds_are_learned_and_kept(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path) as running:
        before = running.service.deps.speeds.rates.as_record()
        ollama.script(Reply.text("x").counts(prompt=5000, answer=2))
        await running.chat("update memory bank")
        learned = running.service.deps.speeds.rates.as_record()
        assert learned["memory_analysis"] != before["memory_analysis"]
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path) as running:
        assert running.service.deps.speeds.rates.as_record() == learned


async def test_the_arbiter_is_asked_over_the_wire_and_not_heard(tmp_path: Path) -> None:
    arbiter = {"routing": {"arbiter": True}}
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path, models=arbiter) as running:
        await running.chat("hello", model="memory_fast")  # so that it is loaded
        ollama.script(Reply.text('{"role": "memory_analysis"}'), model="qwen3:30b-a3b")
        answer = await running.chat("zxqv blorp", stream=True)
        assert answer.headers["x-router-reason"] == "the classifier abstained and the arbiter says memory_analysis"
        assert b"memory_analysis" not in answer.content
        asked, answered = ollama.chats[-2:]
        assert (asked["model"], answered["model"]) == ("qwen3:30b-a3b", "llama4:16x17b")
        assert asked["options"]["num_ctx"] == 40_960
        assert asked["think"] is False
        assert asked["format"]["properties"]["role"]["enum"] == list(ROLES)

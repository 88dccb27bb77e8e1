"""How long an answer may get: what was asked for, as far as the window has room; and which of the two ended it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.ollama_replies import JsonObject, Reply
from tests.support.scripted_ollama import REFERENCE_MODELS, Model, ScriptedOllama
from tests.support.service import running_service

WINDOW, ROLE_LIMIT = 8192, 2048
SHORT, LONG = 10, 6400


def speaks_to_its_limit(chat: JsonObject) -> Reply:
    return Reply.text("word").done_reason("length").counts(prompt=LONG, answer=chat["options"]["num_predict"])


@pytest.mark.parametrize(
    ("asked", "words", "ended_by"),
    [
        ({}, SHORT, "answer_limit"),
        ({}, LONG, "window"),
        ({"max_tokens": 50}, SHORT, "answer_limit"),
        ({"max_tokens": 50}, LONG, "answer_limit"),
        ({"max_tokens": 5000}, SHORT, "answer_limit"),
        ({"max_completion_tokens": 5000}, LONG, "window"),
        ({"max_tokens": 10_000_000}, SHORT, "window"),
    ],
)
async def test_the_finish_tells_what_ended_the_answer(
    tmp_path: Path, asked: dict[str, int], words: int, ended_by: str
) -> None:
    models = [Model(model.name, WINDOW) for model in REFERENCE_MODELS]
    async with ScriptedOllama(models) as ollama, running_service(ollama, tmp_path) as running:
        ollama.default(speaks_to_its_limit)
        answer = await running.chat("word " * words, model="memory_fast", **asked)
    (choice,) = answer.json()["choices"]
    assert (choice["finish_reason"], choice["ended_by"]) == ("length", ended_by)
    limit = ollama.chats[-1]["options"]["num_predict"]
    told = dict(part.split("=") for part in answer.headers["x-router-context"].split("; "))
    prompt = sum(int(told[part]) for part in ("system", "tools", "history", "memory"))
    assert prompt + limit <= WINDOW
    if ended_by == "answer_limit":
        assert limit == next(iter(asked.values()), ROLE_LIMIT)


async def test_no_answer_at_all_cannot_be_asked_for(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path) as running:
        answer = await running.chat("hello", max_tokens=0)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "max_tokens")
    assert ollama.chats == []

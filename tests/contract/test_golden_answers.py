"""From a request to the bytes of its answer, through the whole service: `golden/<API>-<situation>.http`.

Ids and the clock are given. To renew the files: `GOLDEN=write pytest tests/contract/test_golden_answers.py`.
"""

import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.ollama_replies import Reply
from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import Running, running_service

GOLDEN = Path(__file__).parent / "golden"
NOW = 1_767_225_600.0
OF_THE_SERVER = {"content-length", "date", "server", "transfer-encoding"}
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
ASKED = "Wie groß ist es?"
CALL_AS_TEXT = '{"name": "read", "arguments": {"path": "größe.md"}}'

Json = dict[str, Any]

# By API: the path, what every body has, what one that asks for thinking has, and a tool.
APIS: dict[str, tuple[str, Json, Json, Json]] = {
    "chat": (
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": ASKED}], "stream_options": {"include_usage": True}},
        {"reasoning_effort": "low"},
        {"type": "function", "function": {"name": "read", "parameters": SCHEMA}},
    ),
    "responses": (
        "/v1/responses",
        {"input": ASKED},
        {"reasoning": {"effort": "low"}},
        {"type": "function", "name": "read", "parameters": SCHEMA},
    ),
    "messages": (
        "/v1/messages",
        {"messages": [{"role": "user", "content": ASKED}], "max_tokens": 99, "thinking": {"type": "disabled"}},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"name": "read", "input_schema": SCHEMA},
    ),
}
SITUATIONS: dict[str, tuple[Reply, Json]] = {
    "text": (Reply.text("Grün ", '✓ \n<&>"\u2028😀').counts(prompt=11, answer=3, cached=7), {}),
    "whole": (Reply.text("Grün ", "✓").counts(prompt=11, answer=3, cached=7), {"stream": False}),
    "reasoning": (Reply.text("42", thinking=("hm", " so")).counts(prompt=11, answer=5), {}),
    "reasoning_whole": (Reply.text("<think>hm</think>\n42").counts(prompt=11, answer=5), {"stream": False}),
    "calls": (Reply.tool_calls(("read", {"path": "/ä"}), ("read", {"path": "b"}), text=("I look.",)), {}),
    "calls_whole": (Reply.tool_calls(("read", {"path": "/ä"}), text=("I look.",)), {"stream": False}),
    "call_in_text": (Reply.text("I look.\n", CALL_AS_TEXT[:20], CALL_AS_TEXT[20:], "\n"), {}),
    "call_cut": (Reply.text("I look.\n", CALL_AS_TEXT[:-9]).done_reason("length"), {}),
    "length": (Reply.text("Grü").counts(prompt=11, answer=1).done_reason("length"), {}),
    "broken": (Reply.text("Grü", "n").cut_after(1), {}),
    "refused": (Reply.text("never asked for"), {"temperature": "warm"}),
}


class Ids:
    """Numbers, anew for each test."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self._numbers = itertools.count(1)

    def __call__(self) -> str:
        return f"id{next(self._numbers)}"


@pytest.fixture(scope="module")
def ids() -> Ids:
    return Ids()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory, ids: Ids) -> AsyncIterator[Running]:
    folder, forgetful = tmp_path_factory.mktemp("golden"), {"enabled": False}
    async with (
        ScriptedOllama() as ollama,
        running_service(ollama, folder, None, ids, lambda: NOW, sessions=forgetful) as running,
    ):
        yield running


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("api", APIS)
async def test_the_same_request_gets_the_same_bytes(running: Running, ids: Ids, api: str, situation: str) -> None:
    path, body, thinks, tool = APIS[api]
    reply, more = SITUATIONS[situation]
    running.ollama.script(reply)
    ids.begin()
    body = {"model": "memory_fast", "stream": True, **body, **more}
    body |= thinks if situation.startswith("reasoning") else {}
    body |= {"tools": [tool]} if situation.startswith("call") else {}
    answer = await running.http.post(path, json=body)
    told = sorted((name, value) for name, value in answer.headers.items() if name not in OF_THE_SERVER)
    head = "".join(f"{name}: {value}\n" for name, value in told)
    written = f"{answer.status_code}\n{head}\n".encode() + answer.content
    golden = GOLDEN / f"{api}-{situation}.http"
    if os.environ.get("GOLDEN") == "write":
        golden.write_bytes(written)
    assert written == golden.read_bytes()


def test_there_is_no_golden_file_too_many() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{api}-{name}.http" for api in APIS for name in SITUATIONS}

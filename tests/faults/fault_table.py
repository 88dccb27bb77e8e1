"""Every way a model's server may fail, what the client is to get, and what must hold afterwards.

docs/faults.md tells the same in words.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import openai
from openai.types.chat.chat_completion_chunk import ChoiceDelta

from tests.faults.conftest import running_tasks
from tests.support.ollama_replies import Call, Reply
from tests.support.requests import load_request
from tests.support.service import CHAT, MODEL, Running, eventually
from tests.support.sse_reader import Answer, read_answer

CODER = "qwen2.5-coder:32b"
TWO = Reply.text("a", "b")
LIMIT_S = 0.4
QUICK = {
    "retries": 1,
    "first_token_timeout_s": LIMIT_S,
    "idle_timeout_s": LIMIT_S,
    "load_timeout_s": LIMIT_S,
    "breaker_failures": 1000,
}


@dataclass(frozen=True)
class Early:
    """A fault before the first token: the client's status and code where every model has it.

    `once` that a second try is made where only the first call has it, `other` that another model answers where only
    one model has it.
    """

    reply: Reply
    status: int
    code: str
    once: bool = False
    other: bool = False


@dataclass(frozen=True)
class Late:
    """A fault after the first token or thought, which is "a": the code that the answer ends with, whether words of it
    were sent, and after how many calls of the model.
    """

    reply: Reply
    code: str = "upstream_broken"
    spoke: bool = True
    calls: int = 1


@dataclass(frozen=True)
class Good:
    """What only looks like a fault, and the text and calls that are to arrive."""

    reply: Reply
    text: str = ""
    calls: tuple[Call, ...] = ()


EARLY = {
    "reset": Early(Reply.reset(), 502, "upstream_broken", once=True, other=True),
    "500": Early(Reply.http(500, "out of memory"), 502, "upstream_broken", once=True, other=True),
    "503 busy": Early(Reply.busy(), 429, "model_busy", once=True, other=True),
    "429": Early(Reply.http(429, "slow down"), 429, "model_busy", once=True, other=True),
    "404 model": Early(Reply.not_found(CODER), 404, "model_missing", other=True),
    "400": Early(Reply.http(400, "bad option"), 400, "model_refused"),
    "400 window": Early(Reply.window_exceeded(), 400, "context_length_exceeded"),
    "hang before headers": Early(TWO.gate_before_headers(), 504, "first_token_timeout", other=True),
    "hang before first token": Early(TWO.gate_after(0), 504, "first_token_timeout", other=True),
    "cut before any line": Early(TWO.cut_after(0), 502, "upstream_broken", once=True, other=True),
    "ended before any line": Early(TWO.cut_after(0, terminated=True), 502, "upstream_broken", once=True, other=True),
    "cut mid-line": Early(TWO.cut_after(0, half_line=True), 502, "upstream_broken", once=True, other=True),
    "malformed line": Early(Reply.malformed_line(), 502, "upstream_broken"),
    "error line": Early(Reply.error_line("runner terminated"), 502, "upstream_broken", once=True, other=True),
    "error line of the window": Early(
        Reply.error_line("exceeds the available context size"), 400, "context_length_exceeded"
    ),
    "wrong content type": Early(Reply.html(), 502, "upstream_broken"),
    "page of a gateway": Early(Reply.html(502), 502, "upstream_broken", once=True, other=True),
    "no body": Early(Reply.body(""), 502, "upstream_broken", once=True, other=True),
    "empty answer": Early(Reply.empty(), 502, "empty_answer", once=True),
}
LATE = {
    "hang": Late(TWO.gate_after(1), "idle_timeout"),
    "reset": Late(TWO.cut_after(1, reset=True)),
    "cut mid-line": Late(TWO.cut_after(1, half_line=True)),
    "ended mid-line": Late(TWO.cut_after(1, half_line=True, terminated=True)),
    "cut between lines": Late(TWO.cut_after(1)),
    "ended between lines": Late(TWO.cut_after(1, terminated=True)),
    "cut before the done line": Late(TWO.cut_after(2)),
    "ended before the done line": Late(TWO.cut_after(2, terminated=True)),
    "ended within the done line": Late(TWO.cut_after(2, half_line=True, terminated=True)),
    "malformed line": Late(Reply.malformed_line(after=("a",))),
    "a list for a line": Late(Reply.malformed_line(after=("a",), line=b"[]")),
    "error line": Late(Reply.error_line("out of memory", after=("a",))),
    "cut after a tool call": Late(Reply.tool_calls(("f", {}), text=("a",)).cut_after(2, terminated=True)),
    "cut after thinking": Late(Reply.text("b", thinking=("a",)).cut_after(1, terminated=True), spoke=False),
    "only thinking": Late(Reply.thinking("a"), "empty_answer", spoke=False, calls=2),
}
CALL = ("read_files", {"files": [{"path": "/a" * 50}]})
TAGS = ("<read_file>\n<pa", "th>a.py</path>\n", "</read_file>")
GOOD = {
    "tool call in pieces": Good(Reply.tool_calls(CALL).in_chunks_of(7), calls=(CALL,)),
    "call as text in pieces": Good(Reply.text(*TAGS).in_chunks_of(7), "".join(TAGS)),
    "slow drip": Good(Reply.text("a", "b", "c").drip(LIMIT_S / 10), "abc"),
    "10 MB line": Good(Reply.big_line(10_000_000), "x" * 10_000_000),
}
CLINE = {"cline_sdk": "sdk_first_turn", "cline_legacy": "legacy_first_turn"}


async def assert_nothing_left(running: Running) -> None:
    """The model was told to stop, its place is free for the next call, and no task or connection is left."""
    ollama = running.ollama
    ollama._queues.clear()
    ollama._defaults.clear()
    await ollama.wait_idle()
    answers = await asyncio.gather(*(running.chat(model=role) for role in ("memory_fast", "implementation")))
    assert [answer.json()["choices"][0]["message"]["content"] for answer in answers] == ["ok", "ok"]
    assert not sum(running.service.models.waiting_calls.values())
    await eventually(lambda: not running_tasks(), "the answers' tasks to end")
    assert ollama.running == 0
    assert ollama.open_connections <= 4


def body_of(client: str) -> dict[str, Any]:
    return load_request(CLINE[client]).body


async def streamed(running: Running, body: dict[str, Any]) -> Answer:
    """The answer to this body as a stream, which must be well-formed."""
    answer = await running.http.post(CHAT, json={**body, "stream": True})
    assert answer.status_code == 200
    return read_answer(answer.content)


async def deltas_of(running: Running, **more: Any) -> AsyncIterator[ChoiceDelta]:
    """What OpenAI's SDK makes of a stream."""
    async with openai.AsyncOpenAI(base_url=running.openai_url, api_key="x", max_retries=0, timeout=15) as sdk:
        asked: Any = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], **more}
        async for chunk in await sdk.chat.completions.create(stream=True, **asked):
            yield chunk.choices[0].delta

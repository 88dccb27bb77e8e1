"""Every way a model's server may fail, what the client is to get, and what must hold afterwards.

docs/faults.md tells the same in words.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from tests.faults.conftest import running_tasks
from tests.support.requests import load_request
from tests.support.scripted_ollama import Reply
from tests.support.service import CHAT, Running, eventually
from tests.support.sse_reader import Answer, read_answer

CODER = "qwen2.5-coder:32b"
TWO = Reply.text("a", "b")
LIMIT_S = 0.25
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
}
LATE = {
    "hang": (TWO.gate_after(1), "idle_timeout"),
    "reset": (TWO.cut_after(1, reset=True), "upstream_broken"),
    "cut mid-line": (TWO.cut_after(1, half_line=True), "upstream_broken"),
    "cut between lines": (TWO.cut_after(1), "upstream_broken"),
    "ended between lines": (TWO.cut_after(1, terminated=True), "upstream_broken"),
    "ended before the done line": (TWO.cut_after(2, terminated=True), "upstream_broken"),
    "malformed line": (Reply.malformed_line(after=("a",)), "upstream_broken"),
    "error line": (Reply.error_line("out of memory", after=("a",)), "upstream_broken"),
    "after a tool call": (Reply.tool_calls(("f", {}), text=("a",)).cut_after(2, terminated=True), "upstream_broken"),
}
CALL = ("read_file", {"path": "a" * 100})
GOOD = {
    "tool call in pieces": Reply.tool_calls(CALL).in_chunks_of(7),
    "slow drip": Reply.text("a", "b", "c").drip(LIMIT_S / 10),
}
CLINE = {"cline_sdk": "sdk_first_turn", "cline_legacy": "legacy_first_turn"}


async def assert_nothing_left(running: Running) -> None:
    """The model was told to stop, its place is free for the next call, and no task or connection is left."""
    ollama = running.ollama
    ollama._queues.clear()
    ollama._defaults.clear()
    await ollama.wait_idle(1)
    answers = await asyncio.gather(*(running.chat(model=role) for role in ("memory_fast", "implementation")))
    assert [answer.json()["choices"][0]["message"]["content"] for answer in answers] == ["ok", "ok"]
    assert not sum(running.service.models.waiting_calls.values())
    await eventually(lambda: not running_tasks(), "the answers' tasks to end")
    assert ollama.running == 0
    assert ollama.open_connections <= 4


def body_of(client: str) -> dict[str, Any]:
    return load_request(CLINE[client]).body


async def streamed(running: Running, body: dict[str, Any]) -> Answer:
    answer = await running.http.post(CHAT, json={**body, "stream": True})
    assert answer.status_code == 200
    return read_answer(answer.content)

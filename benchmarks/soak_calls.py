"""The calls of a soak: what each asks of the scripted Ollama, what must come of it, and whether it did."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import httpx

from tests.support.scripted_ollama import Reply

Verdict = Literal["fine", "lost", "wrong", "hung"]
Way = Literal["streamed", "whole", "hang_up_before", "hang_up_within"]

HUNG_AFTER_S = 60.0
# Of a client that hangs up before anything came.
PATIENCE_S = 0.02
PIECES = 6
MODELS = ("cline-memory-router", "memory_fast", "implementation", "memory_analysis")
CHAT = "/v1/chat/completions"
# How often each happens. `once` faults are made good by the router, `late` ones end the answer as an error.
FAULTS = {"none": 70, "once_500": 6, "once_reset": 4, "once_busy": 4, "late_cut": 5, "late_error": 5, "late_hang": 1}
WAYS: dict[Way, int] = {"streamed": 65, "whole": 15, "hang_up_before": 10, "hang_up_within": 10}


@dataclass(frozen=True)
class Call:
    """One request; the model is to answer with the words that `mark` alone makes."""

    mark: str
    model: str
    way: Way
    fault: str

    @classmethod
    def random(cls, draw: Random) -> Call:
        """With a mark that no other call has."""
        ways, faults = list(WAYS), list(FAULTS)
        return cls(
            f"{draw.getrandbits(96):024x}",
            draw.choice(MODELS),
            draw.choices(ways, [WAYS[way] for way in ways])[0],
            draw.choices(faults, [FAULTS[fault] for fault in faults])[0],
        )

    @property
    def body(self) -> dict[str, Any]:
        """The request."""
        text = f"soak {self.mark} {self.fault}"
        return {"model": self.model, "stream": self.way != "whole", "messages": [{"role": "user", "content": text}]}

    @property
    def answer(self) -> str:
        """What must come, word for word."""
        return "".join(words_of(self.mark))


def words_of(mark: str) -> list[str]:
    """The pieces of the answer to a mark."""
    return [f"{mark}:{number} " for number in range(PIECES)]


class Echo:
    """The model's side: answers each mark with its words, after the faults that were asked for."""

    def __init__(self) -> None:
        self._failed: set[str] = set()

    def __call__(self, chat: dict[str, Any]) -> Reply:
        mark, fault = chat["messages"][-1]["content"].split()[1:3]
        reply = Reply.text(*words_of(mark))
        if fault.startswith("once") and mark not in self._failed:
            self._failed.add(mark)
            return {
                "once_500": Reply.http(500, "out of memory"),
                "once_reset": Reply.reset(),
                "once_busy": Reply.busy(),
            }[fault]
        self._failed.discard(mark)
        match fault:
            case "late_cut":
                return reply.cut_after(2)
            case "late_error":
                return Reply.error_line("out of memory", after=words_of(mark)[:2])
            case "late_hang":
                return reply.gate_after(2)
        return reply


async def make(call: Call, client: httpx.AsyncClient) -> Verdict:
    """Make one call and judge its end. Who hangs up is owed nothing."""
    ways = {"whole": _whole, "hang_up_before": _hang_up_before}
    try:
        async with asyncio.timeout(HUNG_AFTER_S):
            return await ways.get(call.way, _streamed)(call, client)
    except TimeoutError:
        return "hung"
    except httpx.HTTPError:
        return "lost"


async def _whole(call: Call, client: httpx.AsyncClient) -> Verdict:
    answer = await client.post(CHAT, json=call.body)
    if call.fault.startswith("late"):
        return "fine" if answer.is_server_error else "wrong"
    if not answer.is_success:
        return "lost"
    return "fine" if answer.json()["choices"][0]["message"]["content"] == call.answer else "wrong"


async def _hang_up_before(call: Call, client: httpx.AsyncClient) -> Verdict:
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            await client.post(CHAT, json=call.body)
    return "fine"


async def _streamed(call: Call, client: httpx.AsyncClient) -> Verdict:
    text, finish = "", None
    async with client.stream("POST", CHAT, json=call.body) as answer:
        if not answer.is_success:
            return "lost"
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                choice = json.loads(line.removeprefix("data: "))["choices"][0]
                text += choice["delta"].get("content") or ""
                finish = choice["finish_reason"] or finish
            if call.way == "hang_up_within" and text:
                return "fine" if call.answer.startswith(text) else "wrong"
    return _judged(call, text, finish)


def _judged(call: Call, text: str, finish: str | None) -> Verdict:
    if call.fault.startswith("late"):
        return "lost" if finish is None else "fine" if _is_broken_off(call, text, finish) else "wrong"
    if finish in {None, "error"}:
        return "lost"
    return "fine" if (text, finish) == (call.answer, "stop") else "wrong"


def _is_broken_off(call: Call, text: str, finish: str) -> bool:
    return finish == "error" and call.answer.startswith(text)

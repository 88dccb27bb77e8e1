"""The ways from a client's request to llama.cpp that `benchmarks.prefix` compares."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx

from backends.embedded.launcher import EmbeddedBackend
from chains.compose import memory_block
from chains.counting import count_text
from chains.events import AnswerEvent, Finished, RouterEvent, Usage
from config.errors import ContextTooLong
from config.load import load_settings
from config.settings import Settings
from retrievers.memory import MemoryService
from server import open_router
from wire.openai_request import ChatRequest
from wire.parse import WORKSPACE_HEADER, parse_turn
from wire.run import run_graph

ANSWER_TOKENS = 1
TIMEOUT_S = 600.0
# What the control puts into the system prompt: passages for the newest message, as many do.
CONTROL_TOKENS = 200
CONTROL_MARK = "\n\n"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Read:
    """What llama.cpp told of one prompt: all its tokens, those in its cache; and the wait for the first token."""

    prompt_tokens: int
    cached_tokens: int
    ttft_s: float

    @property
    def new_tokens(self) -> int:
        """Tokens that had to be read."""
        return self.prompt_tokens - self.cached_tokens


class Way(Protocol):
    """Sends one request of a client's."""

    async def __call__(self, body: Json) -> Read | None:
        """None where the prompt fits no window."""
        ...


@asynccontextmanager
async def straight(change: Callable[[Json], Json] = lambda body: body) -> AsyncIterator[Way]:
    """Straight to the model, over Ollama's API; `change` rewrites the request on its way."""
    backend = EmbeddedBackend()
    await backend.start()
    try:
        async with httpx.AsyncClient(base_url=backend.base_url, headers=backend.headers, timeout=TIMEOUT_S) as client:

            async def send(body: Json) -> Read | None:
                return await _ask(client, _as_ollama(change(body), backend.model, backend.window_tokens))

            yield send
    finally:
        await backend.close()


@asynccontextmanager
async def naive(workspace: Path) -> AsyncIterator[Way]:
    """The control: straight, with what the bank says to the newest message in the system prompt of each request."""
    memory = MemoryService(
        vector_store_path=workspace.parent / "control",
        embedder=None,
        count_tokens=count_text,
        prefer_whole=False,
        ranked_tokens=CONTROL_TOKENS,
    )

    def with_fresh_memory(body: Json) -> Json:
        system, *rest = body["messages"]
        found = memory.recall_blocking(workspace, _text(rest[-1]), CONTROL_TOKENS)
        content = f"{_text(system)}{CONTROL_MARK}{memory_block(found.passages)}"
        return {**body, "messages": [{**system, "content": content}, *rest]}

    try:
        async with straight(with_fresh_memory) as send:
            yield send
    finally:
        await memory.aclose()


@asynccontextmanager
async def through_us(workspace: Path, *, memory: bool) -> AsyncIterator[Way]:
    """Through the running graph, parsed as a request of Cline's; records are kept in a folder beside the workspace."""
    settings = _settings(workspace.parent / f"records-{memory}", memory=memory)
    async with open_router(settings) as service:
        await service.models.settled()

        async def send(body: Json) -> Read | None:
            request = ChatRequest.model_validate({**body, "max_tokens": ANSWER_TOKENS})
            started = time.perf_counter()
            turn = parse_turn(request, {WORKSPACE_HEADER: str(workspace)}).turn
            first_s, usage = None, Usage(0, 0)

            def tell(event: RouterEvent) -> None:
                nonlocal first_s, usage
                if isinstance(event, AnswerEvent) and first_s is None:
                    first_s = time.perf_counter() - started
                if isinstance(event, Finished) and event.usage is not None:
                    usage = event.usage

            try:
                await run_graph(service, {"turn": turn}, tell)
            except ContextTooLong:
                return None
            return Read(usage.prompt_tokens, usage.cached_tokens or 0, first_s or 0.0)

        yield send


def _settings(folder: Path, *, memory: bool) -> Settings:
    values = load_settings(environment={"VECTOR_STORE_PATH": str(folder)}).model_dump()
    values["backend"] |= {"kind": "embedded"}
    values["memory"] |= {"enabled": memory}
    return Settings.model_validate(values)


async def _ask(client: httpx.AsyncClient, body: Json) -> Read | None:
    started = time.perf_counter()
    async with client.stream("POST", "/api/chat", json=body) as response:
        if response.status_code == httpx.codes.BAD_REQUEST:
            return None
        response.raise_for_status()
        first_s: float | None = None
        async for line in response.aiter_lines():
            first_s = first_s or time.perf_counter() - started
            told: Mapping[str, Any] = json.loads(line)
            if told["done"]:
                return Read(told["prompt_eval_count"], told["prompt_eval_cached_count"], first_s)
    raise RuntimeError("the embedded backend ended its answer without an end mark")


def _as_ollama(body: Json, model: str, window_tokens: int) -> Json:
    """An OpenAI request as Ollama's own, as its documentation says."""
    return {
        "model": model,
        "messages": [_message(message) for message in body["messages"]],
        "tools": body.get("tools", []),
        "truncate": False,
        "options": {"num_ctx": window_tokens, "num_predict": ANSWER_TOKENS},
    }


def _message(message: Json) -> Json:
    made: Json = {"role": message["role"], "content": _text(message)}
    if calls := message.get("tool_calls"):
        made["tool_calls"] = [
            {"function": {"name": each["function"]["name"], "arguments": json.loads(each["function"]["arguments"])}}
            for each in calls
        ]
    return made


def _text(message: Json) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)

"""Feeds the readers of foreign text with what hypothesis makes up, so many seconds each: `… tests.fuzz.fuzz 60`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.ndjson import ChatTransport
from backends.patience import CallLimits
from config.errors import BadRequest, RouterError
from retrievers.chunking import chunk_markdown
from tests.chains.test_tool_text_in_pieces import TEXTS
from tests.chains.tool_text_support import recognised
from wire import messages_parse, responses_parse
from wire.messages_request import MessagesRequest
from wire.parse import parse_turn
from wire.responses_request import ResponsesRequest
from wire.validate import parse_chat_request, validated

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["role", "content", "tool_calls", "tools", "tool_choice", "stop", "response_format", "metadata", "n", "stream"]
)
ARGUMENTS = JSON.map(json.dumps) | st.text(max_size=9)
CALL = st.fixed_dictionaries(
    {
        "id": st.text(min_size=1, max_size=3),
        "function": st.fixed_dictionaries({"name": st.just("f"), "arguments": ARGUMENTS}),
    }
)
PART = st.fixed_dictionaries({"type": st.sampled_from(["text", "input_text", "output_text"]), "text": st.text()})
BLOCK = PART | st.fixed_dictionaries(
    {"type": st.sampled_from(["tool_use", "tool_result", "thinking", "image"])},
    optional={"id": st.text(), "tool_use_id": st.text(), "name": st.text(), "input": JSON, "content": st.lists(PART)},
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "system", "developer", "assistant", "tool"])},
    optional={
        "content": JSON | st.text() | st.lists(BLOCK, max_size=3),
        "tool_calls": st.lists(CALL, max_size=2) | JSON,
        "tool_call_id": st.text(),
        "reasoning_content": st.text() | JSON,
    },
)
ITEM = MESSAGE | st.fixed_dictionaries(
    {"type": st.sampled_from(["function_call", "function_call_output", "reasoning"])},
    optional={"call_id": st.text(), "name": st.text(), "arguments": ARGUMENTS, "output": JSON | st.lists(PART)},
)
BODY = st.fixed_dictionaries({"model": st.text(min_size=1), "messages": st.lists(MESSAGE, max_size=3) | JSON})
ASKED = st.fixed_dictionaries({"model": st.text(min_size=1), "input": st.text() | st.lists(ITEM, max_size=4) | JSON})
LINES = st.lists(
    JSON.map(lambda value: json.dumps(value).encode())
    | st.text(max_size=9).map(lambda text: json.dumps({"message": {"content": text}, "done": False}).encode())
    | st.just(b'{"done": true, "message": {"content": ""}}')
    | st.binary(max_size=12),
    max_size=6,
)
MARKDOWN = st.lists(st.sampled_from(["# a", "## b", "```", "- c", "", "|x|y|", "text. " * 9]) | st.text(max_size=20))


@given(BODY, st.dictionaries(FIELDS, JSON, max_size=3))
def request_parser(body: dict[str, Any], more: dict[str, Any]) -> None:
    with suppress(BadRequest):
        parse_turn(parse_chat_request({**body, **more}), {})


@given(BODY, st.dictionaries(FIELDS, JSON, max_size=2))
def messages_parser(body: dict[str, Any], more: dict[str, Any]) -> None:
    with suppress(BadRequest):
        parse_turn(messages_parse.as_chat(validated(MessagesRequest, {"max_tokens": 9, **body, **more})), {})


@given(ASKED, st.dictionaries(FIELDS, JSON, max_size=2))
def responses_parser(body: dict[str, Any], more: dict[str, Any]) -> None:
    with suppress(BadRequest):
        parse_turn(responses_parse.as_chat(validated(ResponsesRequest, {**body, **more})), {})


@given(TEXTS, st.integers(1, 9))
def recogniser(text: str, size: int) -> None:
    whole = recognised([text])
    assert recognised([text[start : start + size] for start in range(0, len(text), size)]) == whole
    assert "".join(each if isinstance(each, str) else each.raw for each in whole) == text


@given(LINES, st.integers(1, 9))
def ndjson_reader(lines: list[bytes], size: int) -> None:
    body = b"\n".join(lines)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    async def read() -> None:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, content=pieces()))
        async with httpx.AsyncClient(base_url="http://127.0.0.1:1", transport=transport) as client:
            chunks = [chunk async for chunk in ChatTransport(client, CallLimits(3, 5, 5)).stream({"model": "m"})]
            assert chunks[-1]["done"] is True

    with suppress(RouterError):
        asyncio.run(read())


@given(MARKDOWN.map("\n".join), st.integers(1, 60), st.integers(0, 80))
def markdown_chunker(text: str, min_tokens: int, more: int) -> None:
    chunks = chunk_markdown(text, min_tokens=min_tokens, max_tokens=min_tokens + more)
    assert "".join(chunk.text for chunk in chunks) == text


TARGETS: tuple[Callable[[], None], ...] = (
    request_parser,
    messages_parser,
    responses_parser,
    recogniser,
    ndjson_reader,
    markdown_chunker,
)


def main(seconds: float) -> None:
    """Each target for so long; ends with hypothesis's smallest example where one fails."""
    for target in TARGETS:
        ends, rounds = time.monotonic() + seconds, 0
        # Other examples each round, also where hypothesis sees that it runs in CI.
        anew = settings(
            max_examples=500,
            deadline=None,
            database=None,
            derandomize=False,
            suppress_health_check=list(HealthCheck),
        )
        tried = anew(target)
        while time.monotonic() < ends:
            tried()
            rounds += 1
        sys.stdout.write(f"{target.__name__}: {rounds} rounds of 500 examples\n")


if __name__ == "__main__":
    main(float(sys.argv[1]))

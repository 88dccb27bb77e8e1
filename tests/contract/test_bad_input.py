"""Bad input over real TCP: a 4xx OpenAI error that names the field and what to do, and a service that goes on."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from structlog.testing import capture_logs

from tests.support.service import CHAT, MODEL, Running, ask

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTED = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
TOOL = {"type": "function", "function": {"name": "f"}}
NAMED = {"type": "function", "function": {"name": "g"}}

# name: (what differs from a good body, status, param, a word of the message)
BAD: dict[str, tuple[dict[str, Any], int, str | None, str]] = {
    "unknown role": ({"messages": [{"role": "robot", "content": "x"}]}, 400, "messages[0].role", "assistant"),
    "no role": ({"messages": [{"content": "x"}]}, 400, "messages[0].role", "missing"),
    "no messages": ({"messages": []}, 400, "messages", "at least 1"),
    "messages of a wrong type": ({"messages": "hello"}, 400, "messages", "list"),
    "a message of a wrong type": ({"messages": ["hello"]}, 400, "messages[0]", ""),
    "null content": ({"messages": [{"role": "user", "content": None}]}, 400, "messages[0].content", "text"),
    "content of a wrong type": ({"messages": [{"role": "user", "content": 5}]}, 400, "messages[0].content", "text"),
    "unknown part": (
        {"messages": [{"role": "user", "content": [{"type": "video", "url": "x"}]}]},
        400,
        "messages[0].content[0].type",
        "text or image_url",
    ),
    "a hosted image": (
        {"messages": [{"role": "user", "content": [HOSTED]}]},
        400,
        "messages[0].content[0].image_url.url",
        "data URI",
    ),
    "a result of no call": (
        {"messages": [{"role": "tool", "content": "x"}]},
        400,
        "messages[0].tool_call_id",
        "missing",
    ),
    "unknown model": ({"model": "gpt-5"}, 404, "model", MODEL),
    "empty model": ({"model": ""}, 400, "model", "1 character"),
    "model of a wrong type": ({"model": 5}, 400, "model", "text"),
    "more than one answer": ({"n": 2}, 400, "n", "one answer"),
    "log probabilities": ({"logprobs": True}, 400, "logprobs", "not supported"),
    "temperature": ({"temperature": 3}, 400, "temperature", "at most 2"),
    "top_p": ({"top_p": -1}, 400, "top_p", "at least 0"),
    "seed": ({"seed": "x"}, 400, "seed", "whole number"),
    "a seed without bounds": ({"seed": 1e30}, 400, "seed", ""),
    "max_tokens": ({"max_tokens": 0}, 400, "max_tokens", "at least 1"),
    "max_tokens without bounds": ({"max_tokens": 10**30}, 400, "max_tokens", "fewer digits"),
    "too many stops": ({"stop": ["a"] * 5}, 400, "stop", "at most 4"),
    "a stop of a wrong type": ({"stop": [1]}, 400, "stop", "text"),
    "a choice without tools": ({"tool_choice": "required"}, 400, "tools", "send some"),
    "a choice of no tool": ({"tools": [TOOL], "tool_choice": NAMED}, 400, "tool_choice", "'g'"),
    "an unknown choice": ({"tools": [TOOL], "tool_choice": "maybe"}, 400, "tool_choice", ""),
    "a tool without a name": (
        {"tools": [{"type": "function", "function": {}}]},
        400,
        "tools[0].function.name",
        "missing",
    ),
    "a tool of OpenAI's": ({"tools": [{"type": "custom", "custom": {}}]}, 400, "tools[0].type", "'custom'"),
    "content without parts": ({"messages": [{"role": "user", "content": []}]}, 400, "messages[0].content", "at least"),
    "schema and tools": (
        {"tools": [TOOL], "response_format": {"type": "json_object"}},
        400,
        "response_format",
        "cannot both",
    ),
    "a schema that is missing": ({"response_format": {"type": "json_schema"}}, 400, "response_format", "json_schema"),
    "an unknown effort": ({"reasoning_effort": "enormous"}, 400, "reasoning_effort", "'low'"),
    "stream of a wrong type": ({"stream": "maybe"}, 400, "stream", "true or false"),
    "options of a wrong type": ({"stream": True, "stream_options": 5}, 400, "stream_options", ""),
}


def error_of(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    error: dict[str, Any] = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert "Traceback" not in error["message"]
    return error


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", BAD)
async def test_names_the_field_and_what_to_do(running: Running, name: str, stream: bool) -> None:
    more, status, param, word = BAD[name]
    answer = await running.http.post(CHAT, json={**ask(stream=stream), **more})
    error = error_of(answer, status, "model_not_found" if status == 404 else "invalid_request")
    assert error["param"] == param
    assert word in error["message"]
    assert error["message"].startswith(param or "") or param in {"model", "response_format", "tools"}
    assert running.ollama.chats == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"model": NaN}', b"nonsense", b"[" * 200_000])
async def test_wrong_json(running: Running, body: bytes) -> None:
    answer = await running.http.post(CHAT, content=body)
    assert error_of(answer, 400, "invalid_request")["param"] == "body"


@pytest.mark.parametrize("body", [[], [1], "x", 5, None, True])
async def test_a_body_that_is_no_object(running: Running, body: Any) -> None:
    answer = await running.http.post(CHAT, content=json.dumps(body))
    assert "JSON object" in error_of(answer, 400, "invalid_request")["message"]


def nested(depth: int) -> Any:
    value: Any = {"type": "object"}
    for _ in range(depth):
        value = {"a": value}
    return value


def history(arguments: str) -> list[dict[str, Any]]:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "y"},
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        '{"n": 123456789012345678901234567890}',
        '{"n": NaN}',
        "[1, 2]",
        "not JSON",
        '{"cut": "off',
        '{"a":' * 400 + "1" + "}" * 400,
        "[" * 100_000,
    ],
    ids=["big number", "NaN", "a list", "no JSON", "cut off", "deep", "deeper"],
)
async def test_odd_arguments_of_an_earlier_call_are_taken(running: Running, arguments: str) -> None:
    """A conversation that holds one odd call must not be refused for ever after."""
    answer = await running.chat(messages=history(arguments))
    assert answer.status_code == 200, answer.text
    assert running.ollama.chats[0]["messages"][1]["tool_calls"][0]["function"]["name"] == "f"


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": nested(300)}}]},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": nested(300)}}},
    ],
    ids=["tools", "response_format"],
)
async def test_a_schema_that_nests_too_deep_is_refused(running: Running, more: dict[str, Any]) -> None:
    answer = await running.http.post(CHAT, content=json.dumps({**ask(), **more}))
    assert "nest" in error_of(answer, 400, "invalid_request")["message"]


async def test_half_a_character_does_not_end_the_task(running: Running) -> None:
    """JavaScript cuts texts between the halves of an emoji, and writes the half that is left as `\\ud83d`."""
    body = json.dumps(ask("cut \ud83d here \ud83d\ude00")).encode()
    assert b"\\ud83d here" in body
    answer = await running.http.post(CHAT, content=body)
    assert answer.status_code == 200, answer.text
    assert running.ollama.chats[0]["messages"][0]["content"] == "cut \ufffd here 😀"


async def test_a_body_of_forty_megabytes(running: Running) -> None:
    body = orjson.dumps(ask("x" * 40_000_000))
    error = error_of(await running.http.post(CHAT, content=body), 413, "body_too_large")
    assert error["param"] == "body"
    assert "server.max_body_bytes" in error["message"]
    assert (await running.chat()).status_code == 200


async def test_a_large_body_that_does_not_tell_its_length(running: Running) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 1_000_000

    error_of(await running.http.post(CHAT, content=pieces()), 413, "body_too_large")
    assert (await running.chat()).status_code == 200


async def test_hanging_up_within_the_body_is_no_error_of_ours(
    running: Running, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    host, port = running.base_url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
    await writer.drain()
    # Something else is answered in between, so the half request has been read when its client goes.
    assert (await running.http.get("/health/live")).status_code == 200
    writer.close()
    await writer.wait_closed()
    assert (await running.chat()).status_code == 200
    assert "unexpected error" not in capsys.readouterr().out
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/", 405),
        ("GET", "/v1", 404),
        ("POST", "/v1/completions", 404),
        ("POST", "/chat/completions", 404),
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("PUT", "/health", 405),
    ],
)
async def test_unknown_paths_are_openai_errors(running: Running, method: str, path: str, status: int) -> None:
    answer = await running.http.request(method, path)
    error = error_of(answer, status, "invalid_request")
    assert f"{method} {path} is not served here" in error["message"]
    assert ("allow" in answer.headers) == (status == 405)


async def test_an_error_of_our_own_tells_nothing_but_its_request(running: Running) -> None:
    async def broken() -> None:
        raise ZeroDivisionError("a secret")

    running.app.add_api_route("/broken", broken)
    with capture_logs() as lines:
        answer = await running.http.get("/broken", headers={"x-request-id": "r-1"})
    (line,) = lines
    assert (line["id"], line["path"], line["log_level"]) == ("r-1", "/broken", "error")
    assert "secret" not in answer.text
    error_of(answer, 500, "internal_error")
    assert answer.headers["x-request-id"] == "r-1"

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.embedded.app import MAX_BODY_BYTES, EmbeddedApp
from backends.embedded.chat_request import parse_chat_request, parse_object
from backends.embedded.gguf import GgufError, read_model_file
from backends.embedded.keep_alive import Residency, parse_keep_alive
from backends.embedded.options import parse_options
from backends.embedded.replies import ApiError, JsonReply, LinesReply

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": ""}, "model is required"),
        ({"model": 3}, "model must be of type string"),
        ({"messages": "Hi"}, "messages must be of type array"),
        ({"messages": ["Hi"]}, r"messages\[0\] must be an object"),
        ({"messages": [{"role": "wizard"}]}, "invalid role: 'wizard'"),
        ({"messages": [{"role": ["user"]}]}, "invalid role"),
        ({"messages": [{"role": "user", "content": 1}]}, r"messages\[0\].content must be of type string"),
        ({"messages": [{"role": "user", "images": ["aGk="]}]}, "missing data required for image input"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, r"tool_calls\[0\].function must be an object"),
        ({"tools": [{"function": {"name": ""}}]}, r"tools\[0\].function.name"),
        ({"tools": [{"function": {"name": "x", "parameters": 1}}]}, r"parameters must be of type object"),
        ({"think": True}, '"m" does not support thinking'),
        ({"think": "high"}, '"m" does not support thinking'),
        ({"format": 1}, "invalid format"),
        ({"format": "yaml"}, "invalid format"),
        ({"format": {"type": "strange"}}, "invalid JSON schema in format"),
        ({"stream": "yes"}, "stream must be of type boolean"),
        ({"truncate": 0}, "truncate must be of type boolean"),
        ({"keep_alive": "soon"}, "invalid keep_alive"),
        ({"options": {"num_ctx": "big"}}, 'option "num_ctx" must be of type integer'),
        ({"options": {"num_predict": 1.5}}, 'option "num_predict" must be of type integer'),
        ({"options": {"temperature": "hot"}}, 'option "temperature" must be of type float32'),
        ({"options": {"stop": "END"}}, 'option "stop" must be of type array'),
    ],
)
def test_bad_fields_are_400_and_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=message) as caught:
        parse_chat_request(CHAT | change)
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [b"", b"  ", b"{", b"[]", b'"x"', b"\xff", b'{"a":' * 400 + b"1" + b"}" * 400])
def test_bodies_that_are_no_object(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        parse_object(body)
    assert caught.value.status == 400


def test_what_may_be_left_out_or_null() -> None:
    nulls = dict.fromkeys(("stream", "tools", "format", "options", "keep_alive", "think", "truncate"))
    for request in (parse_chat_request(CHAT | nulls), parse_chat_request(CHAT | {"think": False, "format": ""})):
        assert request.stream
        assert request.truncate
        assert request.schema is None
    assert parse_chat_request(CHAT | {"format": "json"}).schema == {"type": "object"}


def test_unknown_options_are_ignored_and_whole_floats_are_integers() -> None:
    options = parse_options({"num_gpu": 1, "num_ctx": 4096.0, "seed": -1, "top_k": 1, "stop": ["", "END"]})
    assert options.window_tokens == 4096
    assert options.sampling["seed"] == 2**32 - 1
    assert options.sampling["top_k"] == 1
    assert options.sampling["temperature"] == 0.8
    assert options.stop == ("END",)
    assert options.num_predict == -1
    assert parse_options({"seed": 2**63 + 5}).sampling["seed"] == 5


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("model", "messages", "tools", "format", "stream", "think", "truncate", "keep_alive", "options")
OPTIONS = ("num_ctx", "num_predict", "temperature", "top_k", "seed", "stop")


def status_of(raw: dict[str, Any]) -> int:
    try:
        parse_chat_request(raw)
    except ApiError as exc:
        return exc.status
    return 200


@given(st.dictionaries(st.sampled_from(FIELDS), JSON), st.dictionaries(st.sampled_from(OPTIONS), JSON))
def test_any_json_is_taken_or_400(fields: dict[str, Any], options: dict[str, Any]) -> None:
    for raw in (fields, CHAT | fields, CHAT | {"options": options}, CHAT | {"messages": [fields]}):
        assert status_of(raw) in {200, 400}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), (0, 0), (30, 30), (1.5, 1.5), (-1, math.inf), ("0", 0), ("0s", 0), ("5m", 300), ("1h30m", 5400),
     ("-1m", math.inf), ("1.5s", 1.5), ("250ms", 0.25), (10**400, math.inf)],
)  # fmt: skip
def test_keep_alive(value: object, seconds: float | None) -> None:
    assert parse_keep_alive(value) == seconds


def test_residency_follows_requests_and_the_clock() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    residency = Residency(lambda: now)
    assert residency.expires_at() is None
    residency.begin(60)
    now += timedelta(hours=1)
    assert residency.expires_at() == now + timedelta(seconds=60)
    residency.end()
    now += timedelta(seconds=59)
    assert residency.expires_at() is not None
    now += timedelta(seconds=2)
    assert residency.expires_at() is None
    residency.begin(math.inf)
    residency.end()
    assert residency.expires_at() is not None
    residency.unload()
    assert residency.expires_at() is None


@pytest.mark.parametrize("content", [b"GGUF", b"nothing at all", b"GGUF\x03\0\0\0" + b"\xff" * 40])
def test_a_file_that_is_no_gguf(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(GgufError):
        read_model_file(tmp_path / "x.gguf")


async def call(
    handler: Callable[[bytes], Awaitable[JsonReply | LinesReply]],
    *,
    path: str = "/x",
    method: str = "POST",
    key: str = "Bearer k",
    body_bytes: int = 2,
) -> tuple[int, dict[str, str], list[dict[str, Any]]]:
    sent: list[dict[str, Any]] = []
    events = [{"type": "http.request", "body": b" " * body_bytes, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return events.pop(0) if events else {"type": "http.disconnect"}

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    app = EmbeddedApp({"/x": ("POST", handler)}, "k")
    scope = {"type": "http", "path": path, "method": method, "headers": [(b"authorization", key.encode())]}
    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    body = b"".join(event["body"] for event in sent[1:])
    return sent[0]["status"], headers, [orjson.loads(line) for line in body.splitlines()]


async def answer(_: bytes) -> JsonReply:
    return JsonReply({"ok": True})


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"key": "Bearer wrong"}, 401),
        ({"key": ""}, 401),
        ({"path": "/y"}, 404),
        ({"method": "GET"}, 405),
        ({"body_bytes": MAX_BODY_BYTES + 1}, 413),
    ],
)
async def test_front_statuses(change: dict[str, Any], status: int) -> None:
    got, headers, lines = await call(answer, **change)
    assert got == status
    assert set(lines[0]) == {"ok" if status == 200 else "error"}
    assert not any(name.startswith("access-control") for name in headers)


async def test_an_error_after_the_first_line_is_a_line() -> None:
    async def breaks(_: bytes) -> LinesReply:
        async def lines() -> Any:
            yield {"n": 1}
            raise ApiError(500, "gone")

        return LinesReply(lines())

    status, headers, lines = await call(breaks)
    assert (status, headers["content-type"]) == (200, "application/x-ndjson")
    assert lines == [{"n": 1}, {"error": "gone"}]


async def test_an_error_before_the_first_line_is_a_status() -> None:
    async def breaks(_: bytes) -> LinesReply:
        async def lines() -> Any:
            for status in (400,):
                raise ApiError(status, "no")
            yield {}

        return LinesReply(lines())

    assert (await call(breaks))[0] == 400

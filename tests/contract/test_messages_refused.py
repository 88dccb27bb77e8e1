"""Errors of `/v1/messages` in Anthropic's form, over real TCP."""

from typing import Any

import pytest

from tests.support.service import MODEL, Running

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO = [{"role": "user", "content": "hello"}]
WEATHER = {"name": "weather", "input_schema": {"type": "object"}}
LINKED = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
NO_IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "?"}}
PLAIN = {"type": "text", "media_type": "text/plain", "data": "x"}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
CLEARS_RESULTS = {"edits": [{"type": "clear_tool_uses_20250919"}]}
NO_SCHEMA = {"format": {"type": "json_schema", "schema": {"type": "objekt"}}}
SCHEMA = {"format": {"type": "json_schema", "schema": {"type": "object"}}}


def document(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "document", **fields}]}]}


@pytest.mark.parametrize(
    ("more", "field", "word"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type", "web_search_20250305"),
        ({"tools": [WEATHER, {"type": "bash_20250124", "name": "bash"}]}, "tools[1].type", "leave it out"),
        ({"tool_choice": {"type": "any"}}, "tool_choice", "no tools"),
        ({"tool_choice": {"type": "tool", "name": "f"}, "tools": [WEATHER]}, "tool_choice", "'f'"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content", "at least 1"),
        ({"messages": [{"role": "user", "content": [LINKED]}]}, "messages[0].content[0].source.type", "base64"),
        ({"messages": [{"role": "user", "content": [NO_IMAGE]}]}, "messages[0].content[0].source.data", "base64"),
        (document(source=PDF), "messages[0].content[0].source.media_type", "text/plain"),
        (
            document(source=PDF | {"media_type": "text/plain", "data": "/w=="}),
            "messages[0].content[0].source.data",
            "UTF",
        ),
        (document(source={"type": "url", "url": "x"}), "messages[0].content[0].source.type", "text or base64"),
        (document(source=PLAIN, citations={"enabled": True}), "messages[0].content[0].citations", "leave it out"),
        ({"output_config": NO_SCHEMA}, "output_config.format.schema", "no JSON schema"),
        ({"output_config": SCHEMA, "tools": [WEATHER]}, "output_config.format", "tool_choice none"),
        ({"stop_sequences": ["a"] * 17}, "stop_sequences", "at most 16"),
        ({"top_k": -1}, "top_k", "at least 0"),
        ({"context_management": CLEARS_RESULTS}, "context_management", "leave out"),
        ({"max_tokens": 0}, "max_tokens", "at least 1"),
    ],
)
async def test_what_is_refused_is_named_as_anthropic_names_it(
    running: Running, more: dict[str, Any], field: str, word: str
) -> None:
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        if path.endswith("count_tokens") and more.keys() & {"stop_sequences", "max_tokens", "top_k"}:
            continue
        answer = await running.http.post(path, json={"model": MODEL, "max_tokens": 9, "messages": HELLO} | more)
        told = answer.json()
        assert (answer.status_code, told["type"], told["error"]["type"]) == (400, "error", "invalid_request_error")
        assert told["error"]["message"].startswith(field), told
        assert word in told["error"]["message"]


@pytest.mark.parametrize(
    ("asked", "more", "status", "kind"),
    [
        (("GET", "/v1/messages"), {}, 405, "invalid_request_error"),
        (("POST", "/v1/messages/batches"), {}, 404, "not_found_error"),
        (("POST", "/v1/messages"), {"content": b"{"}, 400, "invalid_request_error"),
        (("POST", "/v1/messages"), {"content": b" " * 34_000_000}, 413, "request_too_large"),
        (
            ("POST", "/v1/messages"),
            {"headers": {"content-encoding": "gzip"}},
            415,
            "invalid_request_error",
        ),
        (("POST", "/v1/messages"), {"headers": {"host": "evil.example"}}, 403, "permission_error"),
        (("POST", "/v1/messages"), {"headers": {"origin": "http://evil"}}, 403, "permission_error"),
    ],
)
async def test_what_fails_before_the_route_has_anthropics_form_too(
    running: Running, asked: tuple[str, str], more: Any, status: int, kind: str
) -> None:
    answer = await running.http.request(*asked, **more)
    told = answer.json()
    assert (answer.status_code, told["type"], told["request_id"]) == (status, "error", answer.headers["x-request-id"])
    assert told["error"]["type"] == kind

"""Each wrong field is named as the client wrote it, without the names of our own variants."""

from contextlib import nullcontext
from typing import Any

import pytest

from config.errors import BadRequest
from wire.body import MAX_LEVELS
from wire.validate import parse_chat_request

GOOD: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
TOOL = {"type": "function", "function": {"name": "f"}}


def message(**fields: Any) -> dict[str, Any]:
    return {"messages": [GOOD["messages"][0], fields]}


def asks_for(schema: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


@pytest.mark.parametrize(
    ("more", "param"),
    [
        (message(role="assistant", content=[{"type": "text", "text": 1}]), "messages[1].content[0].text"),
        (message(role="assistant", tool_calls=[{"id": "c"}]), "messages[1].tool_calls[0].function"),
        (message(role="assistant", tool_calls=[{"function": {"name": "f"}}]), "messages[1].tool_calls[0].id"),
        (
            message(role="assistant", tool_calls=[{"id": "c", "function": {"name": "f", "arguments": {}}}]),
            "messages[1].tool_calls[0].function.arguments",
        ),
        (message(role="tool", tool_call_id="", content="x"), "messages[1].tool_call_id"),
        (message(role="tool", tool_call_id="c", content=5), "messages[1].content"),
        (
            message(role="system", content=[{"type": "image_url", "image_url": {"url": "x"}}]),
            "messages[1].content[0].type",
        ),
        (message(role="user", content=[{"type": "image_url"}]), "messages[1].content[0].image_url"),
        (message(role="user", content=[{"type": "text"}]), "messages[1].content[0].text"),
        (message(role="user", content=["x"]), "messages[1].content[0]"),
        (message(role="user", content={"a": 1}), "messages[1].content"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
            "tools[0].function.parameters",
        ),
        ({"tools": "f"}, "tools"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.schema"),
        (asks_for({"type": "objekt"}), "response_format.json_schema.schema"),
        (asks_for({"properties": {"a": {"minimum": "1"}}}), "response_format.json_schema.schema"),
        (asks_for({"$schema": 5}), "response_format.json_schema.schema"),
        (asks_for({"$schema": ["http://json-schema.org/draft-07/schema#"]}), "response_format.json_schema.schema"),
        (asks_for({"$schema": "http://[x", "type": "objekt"}), "response_format.json_schema.schema"),
        ({"stream_options": {"include_usage": "maybe"}}, "stream_options.include_usage"),
        ({"metadata": "x"}, "metadata"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop": 5}, "stop"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"functions": [{}]}, "functions"),
        ({"audio": {}}, "audio"),
    ],
)
def test_names_the_field(more: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_chat_request({**GOOD, **more})
    assert refused.value.param == param
    assert refused.value.message.startswith(param)
    assert refused.value.message.endswith(".")


@pytest.mark.parametrize(
    "url", ["https://example.com/a.png", "file:///etc/passwd", "data:text/plain;base64,AAAA", "", "x"]
)
def test_no_image_is_fetched(url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    with pytest.raises(BadRequest, match="data URI") as refused:
        parse_chat_request({**GOOD, **message(role="user", content=[part])})
    assert refused.value.param == "messages[1].content[0].image_url.url"
    assert len(refused.value.message) < 300


@pytest.mark.parametrize(
    ("data", "is_taken"),
    [
        *(("QUJD", True), ("QUI=", True), ("QQ==", True), ("QUJD\r\nQUI=\n", True)),
        *(("", False), ("QUJ", False), ("Q===", False), ("=QUJ", False), ("QUJD====", False), ("QQ==QUJD", False)),
        *(("QUJD!!!!", False), ("QU D", False), ("QÜJD", False)),
    ],
)
def test_an_image_must_be_base64_as_ollama_reads_it(data: str, is_taken: bool) -> None:
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    with nullcontext() if is_taken else pytest.raises(BadRequest, match="in base64"):
        parse_chat_request({**GOOD, **message(role="user", content=[part])})


def test_where_a_schema_is_wrong_is_told_without_what_it_says() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "secret"}}}
    with pytest.raises(BadRequest, match=r"at \$\.properties\.a\.type\.$") as refused:
        parse_chat_request({**GOOD, **asks_for(schema)})
    assert "secret" not in refused.value.message


def test_a_schema_as_deep_as_may_be_is_looked_at_or_refused() -> None:
    schema: dict[str, Any] = {"type": "secret"}
    for _ in range(MAX_LEVELS // 2 - 2):
        schema = {"properties": {"a": schema}}
    with pytest.raises(BadRequest) as refused:
        parse_chat_request({**GOOD, **asks_for(schema)})
    assert refused.value.param == "response_format.json_schema.schema"


def test_a_large_wrong_value_is_not_said_back() -> None:
    with pytest.raises(BadRequest) as refused:
        parse_chat_request({**GOOD, **message(role="x" * 100_000)})
    assert len(refused.value.message) < 300


@pytest.mark.parametrize(
    "more",
    [
        {"n": 1, "logprobs": False, "top_logprobs": 0, "logit_bias": {}, "functions": [], "audio": None},
        {"n": None, "tools": [], "tool_choice": "auto", "stop": [], "metadata": {}},
        {"parallel_tool_calls": False, "user": "u", "store": True, "frequency_penalty": 0, "service_tier": "auto"},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"response_format": {"type": "text"}, "tools": [TOOL], "tool_choice": "required"},
        message(role="user", content=""),
        message(role="assistant", content=None, tool_calls=None),
        message(role="user", content="x", name="sam", cache_control={"type": "ephemeral"}),
    ],
)
def test_what_clients_send_beside_it_is_taken(more: dict[str, Any]) -> None:
    assert parse_chat_request({**GOOD, **more}).model == "m"

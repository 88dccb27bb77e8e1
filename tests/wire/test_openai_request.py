"""Each wrong field is named as the client wrote it, without the names of our own variants."""

from typing import Any

import pytest

from config.errors import BadRequest
from wire.validate import parse_chat_request

GOOD: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
TOOL = {"type": "function", "function": {"name": "f"}}


def message(**fields: Any) -> dict[str, Any]:
    return {"messages": [GOOD["messages"][0], fields]}


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
        (message(role="tool", tool_call_id="c", content=None), "messages[1].content"),
        (
            message(role="system", content=[{"type": "image_url", "image_url": {"url": "x"}}]),
            "messages[1].content[0].type",
        ),
        (message(role="user", content=[{"type": "image_url"}]), "messages[1].content[0].image_url"),
        (message(role="user", content=[{"type": "text"}]), "messages[1].content[0].text"),
        (message(role="user", content=["x"]), "messages[1].content[0]"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
            "tools[0].function.parameters",
        ),
        ({"tools": "f"}, "tools"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.schema"),
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
    "url", ["https://example.com/a.png", "file:///etc/passwd", "data:text/plain;base64,AA", "", "x"]
)
def test_no_image_is_fetched(url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    with pytest.raises(BadRequest, match="data URI") as refused:
        parse_chat_request({**GOOD, **message(role="user", content=[part])})
    assert refused.value.param == "messages[1].content[0].image_url.url"
    assert len(refused.value.message) < 300


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

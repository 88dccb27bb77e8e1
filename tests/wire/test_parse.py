"""From a client's request to a Turn: the ground truth of real shapes, and nothing but `BadRequest` for the rest."""

import copy
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from config.errors import BadRequest
from tests.support.requests import CapturedRequest, load_request, load_requests, shared_requests, skip_reason
from wire.parse import ParsedRequest, parse_turn
from wire.validate import parse_chat_request

# A busy machine with coverage on takes 1.4 s for the longest text, what was quadratic seven and more.
MOST_S = 3.0


def parse(body: Any, headers: dict[str, str] | None = None) -> ParsedRequest:
    return parse_turn(parse_chat_request(body), headers or {})


@pytest.mark.parametrize("request_", load_requests(), ids=str)
def test_understands_our_requests(request_: CapturedRequest) -> None:
    parsed = parse(request_.body, request_.headers)
    turn, expect = parsed.turn, request_.expect
    assert expect is not None
    assert parsed.dialect == expect.dialect
    assert turn.person_text == expect.person_text
    assert turn.mode == expect.mode
    assert (str(turn.workspace) if turn.workspace else None) == expect.workspace
    assert turn.from_machine == expect.from_machine
    assert parsed.stream == bool(request_.body.get("stream"))
    assert parsed.include_usage == bool(request_.body.get("stream_options", {}).get("include_usage"))
    if turn.person_index is not None:
        assert expect.person_text in turn.messages[turn.person_index].text


@pytest.mark.parametrize("request_", [*load_requests(), *shared_requests()], ids=str)
def test_parsing_is_pure_and_loses_no_message(request_: CapturedRequest) -> None:
    before = copy.deepcopy(request_.body)
    first, second = (parse(request_.body, request_.headers) for _ in range(2))
    assert first == second
    assert request_.body == before
    kinds = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage, "tool": ToolMessage}
    expected = [kinds[message["role"]] for message in request_.body["messages"]]
    assert [type(message) for message in first.turn.messages] == expected
    assert len(first.turn.tools) == len(request_.body.get("tools", ()))


@pytest.mark.skipif(skip_reason() is not None, reason=skip_reason() or "")
@pytest.mark.parametrize("request_", shared_requests(), ids=str)
def test_recognises_captured_requests(request_: CapturedRequest) -> None:
    parsed = parse(request_.body, request_.headers)
    legacy = request_.headers.get("user-agent", request_.headers.get("User-Agent", "")).startswith("Cline/")
    assert parsed.dialect == ("cline_legacy" if legacy else "cline_sdk")
    assert all(mark not in parsed.turn.person_text for mark in ("<task>", "<environment_details>", "<mode_notice>"))


@pytest.mark.parametrize("name", ["sdk_compaction", "sdk_sub_agent"])
def test_no_memory_for_what_no_person_asked(name: str) -> None:
    request = load_request(name)
    assert not parse(request.body, request.headers).turn.wants_memory


def test_who_names_a_session_or_a_workspace() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    named = {**body, "metadata": {"session_id": "meta", "workspace": "/meta"}}
    assert parse(body).turn.session is None
    assert parse(named).turn.session == "meta"
    assert str(parse(named).turn.workspace) == "/meta"
    headers = {"x-session-affinity": "second", "x-workspace": "/header"}
    assert parse(named, headers).turn.session == "second"
    assert str(parse(named, headers).turn.workspace) == "/header"
    assert parse(named, {"x-session-id": "first", **headers}).turn.session == "first"
    assert len(parse(body, {"x-session-id": "s" * 500}).turn.session or "") == 128
    assert parse(body, {"x-workspace": "/a\0b"}).turn.workspace is None
    odd = {**body, "metadata": {"session_id": 5, "workspace": ["x"]}}
    assert (parse(odd).turn.session, parse(odd).turn.workspace) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ("[1]", {"arguments": [1]}),
        ('{"cut": "o', {"arguments": '{"cut": "o'}),
        ("5", {"arguments": 5}),
        ('{"big": 123456789012345678901234567890}', {"big": 123456789012345678901234567890}),
        ("[" * 100_000, {"arguments": "[" * 100_000}),
        ('{"a": ' * 400 + "1" + "}" * 400, {"arguments": '{"a": ' * 400 + "1" + "}" * 400}),
    ],
    ids=["object", "empty", "list", "cut off", "number", "big number", "deep and open", "deep"],
)
def test_arguments_of_earlier_calls_are_never_dropped(arguments: str, kept: dict[str, Any]) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    messages = [{"role": "assistant", "content": None, "tool_calls": [call]}]
    (message,) = parse({"model": "m", "messages": messages}).turn.messages
    assert isinstance(message, AIMessage)
    (made,) = message.tool_calls
    assert (made["id"], made["name"], made["args"]) == ("c", "f", kept)


# --- any body at all

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
NAMES = st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
MARKS = (
    "<task>x</task>",
    "<environment_details>",
    "<env>\n1. Working Directory: /a\n</env>",
    "[read_file for 'x'] Result:\n",
    "<mode_notice>",
    "Context summary:\n",
    "Summarize the provided coding session",
    "# Rules\n## .",
    "# Environment\n - Primary working directory: /a\n",
    "# AGENTS.md instructions",
    "<environment_context><cwd>/a</cwd>",
    "</environment_context>",
)
NEAR_TEXT = st.text(max_size=30) | st.sampled_from(MARKS)


def near(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object that may have these fields, each as it should be or as it should not."""
    return st.fixed_dictionaries({}, optional={name: strategy | JSON for name, strategy in fields.items()})


URLS = st.sampled_from(["data:image/png;base64,AA", "https://example.com/a.png"])
PARTS = near(type=st.sampled_from(["text", "image_url", "x"]), text=NEAR_TEXT, image_url=near(url=URLS))
FUNCTIONS = near(name=NAMES, arguments=JSON.map(json.dumps))
MESSAGES = near(
    role=st.sampled_from(["system", "developer", "user", "assistant", "tool", "x"]),
    content=NEAR_TEXT | st.lists(PARTS, max_size=3),
    tool_calls=st.lists(near(id=NAMES, type=st.just("function"), function=FUNCTIONS), max_size=2),
    tool_call_id=NAMES,
    reasoning_content=NEAR_TEXT,
)
FIELDS = (
    *("stream", "stream_options", "tools", "tool_choice", "temperature", "top_p", "seed", "stop", "max_tokens"),
    *("max_completion_tokens", "response_format", "reasoning_effort", "metadata", "n", "logprobs", "functions"),
)
BODIES = st.fixed_dictionaries(
    {"model": st.just("m") | JSON, "messages": st.lists(MESSAGES, max_size=4) | JSON},
    optional=dict.fromkeys(FIELDS, JSON),
)


@given(BODIES | JSON)
def test_any_body_is_parsed_or_refused_by_name(body: Any) -> None:
    try:
        parsed = parse(body)
    except BadRequest:
        return
    assert parsed == parse(body)
    instructed = [message["role"] in {"system", "developer"} for message in body["messages"]]
    assert len(parsed.turn.messages) >= len(instructed) - sum(instructed)


@given(st.lists(NEAR_TEXT, min_size=1, max_size=4))
def test_text_parts_mean_the_same_as_one_string(texts: list[str]) -> None:
    parts = [{"type": "text", "text": text} for text in texts]
    split = parse({"model": "m", "messages": [{"role": "user", "content": parts}]})
    joined = parse({"model": "m", "messages": [{"role": "user", "content": "".join(texts)}]})
    assert split == joined
    assert split.turn.messages[0].content == "".join(texts)


def test_marks_are_taken_out_of_the_persons_tags_and_nowhere_else() -> None:
    text = "<file>@deep</file>\n<task>\n @deep\n</task> @deep <feedback>@code fix</feedback> <answer></answer>"
    body = {
        "model": "m",
        "messages": [{"role": "system", "content": "# Tools"}, {"role": "user", "content": f"<task>x</task>{text}"}],
    }
    parsed = parse(body)
    assert parsed.dialect == "cline_legacy"
    assert parsed.turn.messages[-1].content == (
        "<task>x</task><file>@deep</file>\n<task>\n \n</task> @deep <feedback>fix</feedback> <answer></answer>"
    )


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    [
        "`a` @code x\n" * 6_000,
        "```\n@code x\n" * 6_000,
        "".join(f"<task>{number} @code x</task>" for number in range(10_000)),
        "<user_input>" + " " * 100_000,
        "<task>" + " " * 100_000,
        "<task>" * 50_000,
        "<task></feedback>" * 50_000,
        "1." + " " * 100_000,
        " " * 100_000 + "x",
        "\n" * 100_000,
        "[read_file for " * 20_000,
        "<mode_notice>" * 50_000,
    ],
    ids=lambda text: text[:16],
)
def test_no_text_takes_long_to_understand(text: str) -> None:
    """2,200 spaces after `<user_input>` held the event loop for seven seconds, 4,000 marks beside quotes for eight."""
    legacy_system = "# Tools\n<read_file>\nCurrent Working Directory: /w"
    for system in (text, legacy_system, f"<env>\n{text}\n4. Working Directory: /w\n</env>", f"<env>{text}"):
        said = [("system", system), ("user", text), ("user", f"<environment_details>{text}")]
        request = parse_chat_request(
            {"model": "m", "messages": [{"role": role, "content": content} for role, content in said]}
        )
        started = time.thread_time()
        parse_turn(request, {})
        assert time.thread_time() - started < MOST_S


def test_a_workspace_header_is_utf_8() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    sent = "/home/jörg/straße".encode().decode("latin-1")
    assert parse_turn(parse_chat_request(body), {"x-workspace": sent}).turn.workspace == Path("/home/jörg/straße")
    assert parse_turn(parse_chat_request(body), {"x-workspace": "/caf\xe9"}).turn.workspace == Path("/caf\xe9")

import base64
import json
import re

import pytest

from tests.support.requests import CapturedRequest, load_request, load_requests, shared_requests, skip_reason

OWN = load_requests()


def texts_of(request: CapturedRequest) -> list[str]:
    """The text of each user message, its parts joined."""
    contents = [message["content"] for message in request.body["messages"] if message["role"] == "user"]
    return [
        content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        for content in contents
    ]


def test_every_shape_is_there() -> None:
    expectations = [request.expect for request in OWN if request.expect]
    assert len(expectations) == len(OWN) >= 20
    assert {expect.dialect for expect in expectations} == {"cline_sdk", "cline_legacy", "plain"}
    assert {expect.mode for expect in expectations} == {"plan", "act", "yolo", "none"}
    assert {expect.from_machine for expect in expectations} == {True, False}


@pytest.mark.parametrize("request_", OWN, ids=str)
def test_ground_truth_is_consistent(request_: CapturedRequest) -> None:
    expect = request_.expect
    assert expect is not None
    whole = json.dumps(request_.body, ensure_ascii=False)
    assert "shop" not in whole
    assert any(expect.person_text in text for text in texts_of(request_))
    if expect.workspace:
        assert expect.workspace in whole
    if request_.body["messages"][-1]["role"] == "tool":
        assert expect.from_machine
    legacy = request_.headers["user-agent"].startswith("Cline/")
    assert legacy == (expect.dialect == "cline_legacy")
    assert not (legacy and "tools" in request_.body)


@pytest.mark.parametrize("request_", OWN, ids=str)
def test_tool_calls_and_results_belong_together(request_: CapturedRequest) -> None:
    messages = request_.body["messages"]
    calls = [call for message in messages for call in message.get("tool_calls", ())]
    results = [message["tool_call_id"] for message in messages if message["role"] == "tool"]
    assert [call["id"] for call in calls] == results
    assert all(isinstance(json.loads(call["function"]["arguments"]), dict) for call in calls)


def test_the_picture_is_a_png() -> None:
    (part,) = load_request("sdk_image_read").body["messages"][-1]["content"]
    assert base64.b64decode(part["image_url"]["url"].partition(",")[2]).startswith(b"\x89PNG\r\n")


@pytest.mark.skipif(skip_reason() is not None, reason=skip_reason() or "")
def test_captured_requests_have_the_landmarks_of_ours() -> None:
    captured = shared_requests()
    assert captured
    landmarks = r"<env>\n.*Working Directory: |Current Working Directory: |# Current Mode\n(ACT|PLAN) MODE"
    landmarks += r"|<mode_notice>The user switched from|\nContext summary:|Summarize the provided coding session"
    theirs = {found.group(0) for one in captured for found in re.finditer(landmarks, _plain(one))}
    ours = {found.group(0) for one in OWN for found in re.finditer(landmarks, _plain(one))}
    assert theirs <= ours


def _plain(request: CapturedRequest) -> str:
    messages = request.body["messages"]
    system = [message["content"] for message in messages if message["role"] == "system"]
    return "\n" + "\n".join(system + texts_of(request))

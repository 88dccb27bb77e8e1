"""Every request of a coding agent's that we hold gets a well-formed streamed answer."""

from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from tests.support.requests import CapturedRequest, load_requests, shared_requests, skip_reason
from tests.support.scripted_ollama import Reply
from tests.support.service import CHAT, Running
from tests.support.sse_reader import Answer, read_answer, read_sse

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPLY = Reply.text("Hello", " ✓", thinking=("hm",)).counts(prompt=11, answer=2)
CALLS = Reply.tool_calls(("read_files", {"files": [{"path": "/a"}]}), ("run_commands", {"commands": ["ls"]}))
SKIPPED = pytest.mark.skipif(skip_reason() is not None, reason=skip_reason() or "")


async def streamed(running: Running, request: CapturedRequest) -> Answer:
    body = {**request.body, "stream": True, "stream_options": {"include_usage": True}}
    headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
    answer = await running.http.post(CHAT, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    for block in read_sse([answer.content]):
        if block.data not in {None, "[DONE]"}:
            ChatCompletionChunk.model_validate(block.json, strict=False)
    return read_answer(answer.content)


HOP_BY_HOP = {"host", "content-length", "connection", "transfer-encoding", "accept-encoding"}


async def assert_answered(running: Running, request: CapturedRequest) -> None:
    running.ollama.script(REPLY)
    answer = await streamed(running, request)
    assert (answer.text, answer.reasoning, answer.finish_reason) == ("Hello ✓", "hm", "stop")
    assert answer.usage == {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13}
    assert answer.error is None
    if "tools" not in request.body:
        return
    running.ollama.script(CALLS)
    answer = await streamed(running, request)
    assert [call["function"]["name"] for call in answer.calls] == ["read_files", "run_commands"]
    assert answer.finish_reason == "tool_calls"


def assert_complete(sent: dict[str, Any], chat: dict[str, Any]) -> None:
    assert len(chat["messages"]) == len(sent["messages"])
    assert len(chat.get("tools", ())) == len(sent.get("tools", ()))
    for theirs, ours in zip(sent["messages"], chat["messages"], strict=True):
        content = theirs["content"]
        texts = [part.get("text", "") for part in content] if isinstance(content, list) else [content or ""]
        assert ours["content"].startswith("".join(texts))
        assert len(ours.get("tool_calls", ())) == len(theirs.get("tool_calls") or ())


@pytest.mark.parametrize("request_", load_requests(), ids=str)
async def test_our_requests_are_answered(running: Running, request_: CapturedRequest) -> None:
    await assert_answered(running, request_)
    assert_complete(request_.body, running.ollama.chats[0])


@SKIPPED
@pytest.mark.parametrize("request_", shared_requests(), ids=str)
async def test_captured_requests_are_answered(running: Running, request_: CapturedRequest) -> None:
    await assert_answered(running, request_)
    assert_complete(request_.body, running.ollama.chats[0])

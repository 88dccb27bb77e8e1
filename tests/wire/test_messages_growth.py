"""What an Anthropic conversation costs to read grows with its messages, hardly with their characters."""

from __future__ import annotations

import time

from wire.messages_parse import as_chat
from wire.messages_request import MessagesRequest
from wire.validate import validated


def cpu_s_to_read(result: str) -> float:
    """The least of some times, by the thread's own clock."""
    results = [{"type": "tool_result", "tool_use_id": str(number), "content": result} for number in range(40)]
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": results}]}
    request = validated(MessagesRequest, body)
    taken_s = []
    for _ in range(5):
        started_s = time.thread_time()
        as_chat(request)
        taken_s.append(time.thread_time() - started_s)
    return min(taken_s)


def test_a_result_of_plain_text_is_not_looked_through_for_images() -> None:
    """Each character was looked at: a hundred times as long, at each request."""
    assert cpu_s_to_read("a" * 10_000) < 10 * cpu_s_to_read("a" * 100)

"""Raw bytes: the same events always give the same stream. To renew the golden files: `GOLDEN=write pytest …`."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.decision import RouteDecision
from chains.events import Finished, ReasoningDelta, Routed, RouterEvent, TextDelta, Timings, ToolCallMade, Usage
from chains.ledger import Ledger
from config.errors import RouterError, UpstreamBroken
from tests.support.sse_reader import SseReader, read_answer, read_sse
from wire.chunks import Stamp, completion, error_chunk, event_chunk, first_chunk, usage_chunk
from wire.sse import DONE, HEARTBEAT, encode

GOLDEN = Path(__file__).parent / "golden"
STAMP = Stamp("chatcmpl-1", 1_767_225_600, "cline-memory-router")
USAGE = Usage(prompt_tokens=11, answer_tokens=3, cached_tokens=7)
STOP = Finished("stop", USAGE, Timings(0.1, 0.2, 0.3))
ROUTED = Routed(
    RouteDecision("implementation", "qwen2.5-coder:32b", "why", "implementation"),
    Ledger(window=1000, system=1, tools=2, history=3, answer=4),
    "call_1",
)
BROKEN = UpstreamBroken("The answer of x broke off before its end: try again.")

STREAMS: dict[str, tuple[Sequence[RouterEvent], Usage | None, RouterError | None]] = {
    "text": ([ROUTED, TextDelta("Grün "), TextDelta("✓ \n<&>\u2028😀"), STOP], None, None),
    "reasoning": ([ReasoningDelta("hm"), ReasoningDelta(" so"), TextDelta("42"), STOP], None, None),
    "tool_calls": (
        [
            TextDelta("I look."),
            ToolCallMade(0, "call_a", "read_files", '{"files": [{"path": "/ä"}]}'),
            ToolCallMade(1, "call_b", "clock", "{}"),
            Finished("tool_calls", None, None),
        ],
        None,
        None,
    ),
    "usage": ([TextDelta("a"), STOP], USAGE, None),
    "usage_without_cache": ([TextDelta("a"), Finished("length", None, None)], Usage(5, 1), None),
    "error": ([TextDelta("a")], None, BROKEN),
}


def stream(events: Sequence[RouterEvent], usage: Usage | None = None, error: RouterError | None = None) -> bytes:
    chunks = [first_chunk(STAMP), *(chunk for event in events if (chunk := event_chunk(STAMP, event)))]
    chunks += [usage_chunk(STAMP, usage)] if usage else []
    chunks += [error_chunk(STAMP, error)] if error else []
    return b"".join([*map(encode, chunks), DONE])


@pytest.mark.parametrize("name", STREAMS)
def test_golden_streams(name: str) -> None:
    written = stream(*STREAMS[name])
    path = GOLDEN / f"{name}.sse"
    if os.environ.get("GOLDEN") == "write":
        path.write_bytes(written)
    assert written == path.read_bytes()
    answer = read_answer(written)
    assert (answer.error is not None) == (name == "error")
    assert (answer.finish_reason == "error") == (name == "error")


def test_there_is_no_golden_file_too_many() -> None:
    assert {path.stem for path in GOLDEN.glob("*.sse")} == set(STREAMS)


def test_heartbeats_are_comments() -> None:
    assert [block.comment for block in read_sse([HEARTBEAT, HEARTBEAT])] == ["ping", "ping"]


EVENTS = st.lists(st.builds(TextDelta, st.text()) | st.builds(ReasoningDelta, st.text()), max_size=6)


@given(EVENTS, st.integers(1, 7))
def test_any_text_comes_out_as_it_went_in_however_the_bytes_are_cut(events: list[RouterEvent], size: int) -> None:
    written = stream([*events, STOP], USAGE)
    reader = SseReader()
    pieces = [written[start : start + size] for start in range(0, len(written), size)]
    blocks = [block for piece in pieces for block in reader.feed(piece)]
    reader.assert_at_end()
    assert len(blocks) == len(events) + 4
    answer = read_answer(written)
    assert answer.text == "".join(event.text for event in events if isinstance(event, TextDelta))
    assert answer.reasoning == "".join(event.text for event in events if isinstance(event, ReasoningDelta))


@given(EVENTS)
def test_the_whole_answer_says_the_same_as_the_stream(events: list[RouterEvent]) -> None:
    whole = completion(STAMP, [ROUTED, *events, STOP])
    streamed = read_answer(stream([*events, STOP], USAGE))
    message = whole["choices"][0]["message"]
    assert message["content"] == streamed.text
    assert message.get("reasoning_content", "") == streamed.reasoning
    assert whole["choices"][0]["finish_reason"] == streamed.finish_reason
    assert whole["usage"] == streamed.usage


def test_a_whole_answer_with_calls_has_no_content() -> None:
    call = ToolCallMade(0, "call_a", "f", "{}")
    whole = completion(STAMP, [call, Finished("tool_calls", None, None)])
    (choice,) = whole["choices"]
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]
    assert "usage" not in whole, "counts that the model did not tell are left out"

"""An answer's pieces put together: for the whole answer, and item by item in a stream of responses."""

import time
from typing import Any

import orjson

from chains.events import Finished, ReasoningDelta, RouterEvent, TextDelta, ToolCallMade
from config.errors import UpstreamBroken
from wire.chunks import Stamp
from wire.responses_request import ResponsesRequest
from wire.responses_writer import ResponsesWriter
from wire.segments import segments

CALLS = [ToolCallMade(id=f"call_{number}", name="f", arguments="{}", index=number) for number in range(2)]
EVENTS: list[RouterEvent] = [ReasoningDelta("h"), ReasoningDelta("m"), TextDelta("a"), *CALLS, TextDelta("b")]


def writer() -> ResponsesWriter:
    return ResponsesWriter(Stamp("resp_1", 0, "m"), ResponsesRequest(model="m", input="hello"))


def told(written: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(line[6:]) for line in written.split(b"\n") if line.startswith(b"data: ")]


def test_neighbouring_pieces_are_one_segment_and_each_call_is_one() -> None:
    whole = [(segment.kind, segment.text, segment.call) for segment in segments(EVENTS)]
    calls = [("call", "", call) for call in CALLS]
    assert whole == [("reasoning", "hm", None), ("text", "a", None), *calls, ("text", "b", None)]


def test_a_response_that_breaks_off_repeats_what_it_said() -> None:
    written = writer()
    for event in (TextDelta("half "), TextDelta("an answer")):
        written.event(event)
    (failed,) = told(written.broken(UpstreamBroken("cut"), spoke=True))
    assert failed["response"]["output"][0]["content"][0]["text"] == "half an answer"


def test_a_long_answer_is_not_copied_with_each_piece() -> None:
    """Each piece copied all the text so far: 20,000 pieces took seconds of the event loop."""
    pieces: list[RouterEvent] = [TextDelta("x" * 400)] * 20_000
    written, finished = writer(), Finished("stop", None, None)
    started = time.thread_time()
    for piece in pieces:
        written.event(piece)
    (done,) = [event for event in told(written.ended(finished)) if event["type"] == "response.output_text.done"]
    (whole,) = segments(pieces)
    assert time.thread_time() - started < 5
    assert len(done["text"]) == len(whole.text) == 8_000_000

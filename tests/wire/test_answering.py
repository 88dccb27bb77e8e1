"""What has gathered for a client is sent on without holding up the others."""

import asyncio
from functools import partial

from starlette.types import Message

from chains.events import Finished, TextDelta
from wire.answering import MOST_AT_ONCE_EVENTS, Pace, StreamResponse
from wire.chunks import Stamp
from wire.journal import RequestJournal
from wire.run import Tell, open_run
from wire.writer import ChatWriter

PORTIONS = 10


async def test_an_answer_that_waited_for_its_reader_leaves_the_loop_to_others_between_portions() -> None:
    """Thousands of events were written in one go, and joined piece by piece: nobody else got a byte for 0.2 s."""
    turns, sent = 0, list[tuple[int, bytes]]()

    async def work(tell: Tell) -> None:
        for _ in range(PORTIONS * MOST_AT_ONCE_EVENTS):
            tell(TextDelta("a"))
        tell(Finished("stop", None, None))

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            sent.append((turns, message["body"]))

    async def nothing() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("an event that nobody sets")

    journal = RequestJournal("r1", stream=True)
    writer = ChatWriter(Stamp("id", 0, "model"))
    response = StreamResponse(partial(open_run, work), writer, journal, Pace(hold_status_s=30, heartbeat_s=30))
    other = asyncio.create_task(others())
    await response({"type": "http"}, nothing, send)
    other.cancel()
    assert max(body.count(b"data: ") for _, body in sent) <= MOST_AT_ONCE_EVENTS + 1
    assert len({turn for turn, _ in sent}) >= PORTIONS
    assert b"".join(body for _, body in sent).count(b'"content":"a"') == PORTIONS * MOST_AT_ONCE_EVENTS

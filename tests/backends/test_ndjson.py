from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import httpx
import pytest

from backends.ndjson import LINES_AT_ONCE, MAX_LINE_BYTES, MAX_SHOWN_CHARS, ChatTransport, refusal
from backends.patience import CallLimits, Deadline
from config.errors import (
    BackendError,
    BackendUnavailable,
    ConnectTimeout,
    ContextTooLong,
    ModelBusy,
    ModelMissing,
    ModelRefused,
    RouterError,
    UpstreamBroken,
)
from tests.backends.backend_support import CHAT, MODEL, PATIENT, chunks_of, raw_server, text_of, transport_to
from tests.support.garbage import alive, nothing_collected
from tests.support.scripted_ollama import Reply, ScriptedOllama

TWO = Reply.text("a", "b")


async def test_chunks_come_up_to_the_end_mark(ollama: ScriptedOllama) -> None:
    ollama.script(Reply.text("Hel", "lo").counts(prompt=9, answer=2))
    *texts, last = await chunks_of(ollama.base_url)
    assert [chunk["message"]["content"] for chunk in texts] == ["Hel", "lo"]
    assert (last["done"], last["prompt_eval_count"], last["eval_count"]) == (True, 9, 2)


async def test_the_body_is_sent_as_given(ollama: ScriptedOllama) -> None:
    await chunks_of(ollama.base_url, truncate=False, options={"num_ctx": 4096}, odd="ü\u2028")
    assert ollama.chats == [{**CHAT, "truncate": False, "options": {"num_ctx": 4096}, "odd": "ü\u2028"}]


@pytest.mark.parametrize("value", [2**64, 10**40, "\ud800"])
async def test_what_orjson_refuses_is_sent_all_the_same(ollama: ScriptedOllama, value: object) -> None:
    await chunks_of(ollama.base_url, odd=value)
    assert ollama.chats[0]["odd"] == value


async def test_a_call_that_has_ended_is_no_garbage(ollama: ScriptedOllama) -> None:
    """Its response and its limit held themselves, and with them a request of 400 KB, until a full collection."""
    await chunks_of(ollama.base_url)
    with nothing_collected():
        responses, deadlines = alive(httpx.Response), alive(Deadline)
        await chunks_of(ollama.base_url)
        assert alive(httpx.Response) <= responses
        assert alive(Deadline) <= deadlines


FAULTS: dict[str, tuple[Reply, type[RouterError], str]] = {
    "reset before headers": (Reply.reset(), UpstreamBroken, r"connection to .* broke \(ReadError\)"),
    "reset mid-stream": (TWO.cut_after(1, reset=True), UpstreamBroken, r"broke \(RemoteProtocolError\)"),
    "cut mid-line": (TWO.cut_after(1, half_line=True), UpstreamBroken, r"broke \(RemoteProtocolError\)"),
    "cut mid-line, terminated": (TWO.cut_after(1, half_line=True, terminated=True), UpstreamBroken, "or is no JSON"),
    "cut between lines": (TWO.cut_after(1), UpstreamBroken, r"broke \(RemoteProtocolError\)"),
    "no end mark": (TWO.cut_after(2, terminated=True), UpstreamBroken, "broke off before its end"),
    "nothing at all": (TWO.cut_after(0, terminated=True), UpstreamBroken, "broke off before its end"),
    "malformed line": (Reply.malformed_line(after=("a",)), UpstreamBroken, "or is no JSON"),
    "a line that is no object": (Reply.malformed_line(line=b"[1]"), UpstreamBroken, "or is no JSON"),
    "a line that is no UTF-8": (Reply.malformed_line(line=b'{"a": "\xff"}'), UpstreamBroken, "or is no JSON"),
    "error line first": (Reply.error_line("out of memory"), UpstreamBroken, "failed: out of memory"),
    "error line mid-way": (Reply.error_line("out of memory", after=("a",)), UpstreamBroken, "failed: out of memory"),
    "overflow as a line": (Reply.error_line("exceeds the available context size"), ContextTooLong, "available context"),
    "500 text": (Reply.body("boom", status=500), UpstreamBroken, "failed: status 500"),
    "502 page": (Reply.html(502), UpstreamBroken, "failed: status 502"),
    "page under 200": (Reply.html(), UpstreamBroken, "or is no JSON"),
    "503": (Reply.busy(), ModelBusy, "maximum pending requests exceeded"),
    "429": (Reply.http(429, "slow down"), ModelBusy, "slow down"),
    "400": (Reply.http(400, "model does not support tools"), ModelRefused, "does not support tools"),
    "401": (Reply.http(401, "unauthorized"), ModelRefused, "unauthorized"),
    "400 without words": (Reply.body(b"", status=400), ModelRefused, "status 400"),
    "window": (Reply.window_exceeded(), ContextTooLong, "the input length exceeds the context length"),
    "404": (Reply.not_found(MODEL), ModelMissing, f"type `ollama pull {MODEL}`"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_every_fault_is_one_error_of_ours(ollama: ScriptedOllama, name: str) -> None:
    reply, error, said = FAULTS[name]
    ollama.script(reply)
    with pytest.raises(error, match=said) as caught:
        await chunks_of(ollama.base_url)
    assert type(caught.value) is error
    assert await text_of(ollama.base_url) == "ok"


async def test_what_came_before_a_fault_was_passed_on(ollama: ScriptedOllama) -> None:
    ollama.script(TWO.cut_after(1))
    seen = []
    async with transport_to(ollama.base_url) as transport:
        with pytest.raises(UpstreamBroken):  # noqa: PT012 - what came before the error is looked at
            async for chunk in transport.stream(CHAT):
                seen.append(chunk["message"]["content"])  # noqa: PERF401 - what came before the error is kept
    assert seen == ["a"]


ODD = ["\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\r", "\n", "\r\n", "\x00", "ü✓😀"]


@pytest.mark.parametrize("size", [None, 1, 7])
async def test_characters_that_others_take_for_line_ends_survive(ollama: ScriptedOllama, size: int | None) -> None:
    reply = Reply.text(*(f"a{odd}b" for odd in ODD))
    ollama.script(reply if size is None else reply.in_chunks_of(size))
    assert await text_of(ollama.base_url) == "".join(f"a{odd}b" for odd in ODD)


async def test_unescaped_separators_survive_too(ollama: ScriptedOllama) -> None:
    """Ollama escapes U+2028, other servers do not."""
    line = json.dumps({"message": {"content": "a\u2028b\x85c"}, "done": False}, ensure_ascii=False).encode()
    ollama.script(Reply.malformed_line(line=line + b"\r\n\n  "))
    assert await text_of(ollama.base_url) == "a\u2028b\x85c"


async def test_ten_megabytes_in_one_line(ollama: ScriptedOllama) -> None:
    ollama.script(Reply.big_line(10_000_000))
    assert len(await text_of(ollama.base_url)) == 10_000_000


async def test_a_line_without_end_is_given_up(ollama: ScriptedOllama) -> None:
    ollama.script(Reply.big_line(MAX_LINE_BYTES + 1_000_000))
    with pytest.raises(UpstreamBroken, match=f"a line of more than {MAX_LINE_BYTES} bytes"):
        await chunks_of(ollama.base_url)
    await ollama.wait_idle()


async def test_a_last_line_needs_no_newline() -> None:
    body = b'{"message": {"content": "a"}, "done": true}'
    async with raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)) as url:
        assert await text_of(url) == "a"


async def test_nothing_is_read_after_the_end_mark(ollama: ScriptedOllama) -> None:
    ollama.script(Reply(pieces=(b'{"done": true, "message": {"content": "a"}}', b"no JSON at all")))
    assert await text_of(ollama.base_url) == "a"


async def test_nothing_listens(ollama: ScriptedOllama) -> None:
    await ollama.stop_listening()
    with pytest.raises(BackendUnavailable, match=r"No Ollama answers at http://127.0.0.1:\d+: start it") as caught:
        await chunks_of(ollama.base_url)
    assert caught.value.retry_after_s


async def test_a_connection_that_is_never_accepted() -> None:
    def hangs(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("", request=request)

    async with httpx.AsyncClient(base_url="http://127.0.0.1:1", transport=httpx.MockTransport(hangs)) as client:
        with pytest.raises(ConnectTimeout, match=r"within 3 s \(backend.connect_timeout_s\)") as caught:
            await anext(ChatTransport(client, CallLimits(3, 5, 5)).stream(CHAT))
    assert caught.value.retry_after_s


async def test_a_reset_as_the_connection_is_made(ollama: ScriptedOllama) -> None:
    await ollama.reset_next_connections()
    with pytest.raises(BackendError):
        await chunks_of(ollama.base_url)


async def test_what_came_in_one_piece_holds_nobody_up() -> None:
    """The first token lay with its sender until the next 15 were read, too."""
    lines = b'{"message": {"content": "a"}}\n' * 2 * LINES_AT_ONCE + b'{"done": true}\n'
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(lines), lines)
    read, first = 0, asyncio.Event()
    turns: list[int] = []

    async def send_on() -> None:
        await first.wait()
        while not turns or turns[-1] < read:
            turns.append(read)
            await asyncio.sleep(0)

    sending = asyncio.create_task(send_on())
    async with raw_server(answer) as url, transport_to(url) as transport:
        async for _ in transport.stream(CHAT):
            read += 1
            first.set()
    await sending
    assert turns[:2] == [1, 1 + LINES_AT_ONCE]


async def test_many_pieces_of_a_line_each_hold_nobody_up() -> None:
    """A connection that does not join what has come, as httpx's own, gives one line after the other without a pause."""
    lines = [b'{"message": {"content": "a"}}\n'] * 10 * LINES_AT_ONCE + [b'{"done": true}\n']
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(line), line) for line in lines)
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    read, turns = 0, [0]

    async def count_turns() -> None:
        while True:
            turns.append(read)
            await asyncio.sleep(0)

    async with raw_server(answer) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        counting = asyncio.create_task(count_turns())
        async for _ in ChatTransport(client, PATIENT).stream(CHAT):
            read += 1
        counting.cancel()
    assert read == len(lines)
    assert max(after - before for before, after in pairwise(turns)) <= LINES_AT_ONCE


@pytest.mark.parametrize("place", [-1, 0, 1])
async def test_a_cancelled_call_hangs_up(ollama: ScriptedOllama, place: int) -> None:
    ollama.script(TWO.gate_after(place))
    calling = asyncio.create_task(chunks_of(ollama.base_url))
    await ollama.wait_held()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await ollama.wait_disconnected(0)


async def test_leaving_the_stream_hangs_up_and_the_client_goes_on(ollama: ScriptedOllama) -> None:
    ollama.script(TWO.gate_after(1), Reply.text("again"))
    async with transport_to(ollama.base_url) as transport:
        chunks = transport.stream(CHAT)
        await anext(chunks)
        await chunks.aclose()
        await ollama.wait_disconnected(0)
        assert [chunk["message"]["content"] async for chunk in transport.stream(CHAT)] == ["again", ""]


async def test_a_whole_answer_leaves_the_connection_for_the_next(ollama: ScriptedOllama) -> None:
    async with transport_to(ollama.base_url) as transport:
        for _ in range(3):
            assert [chunk async for chunk in transport.stream(CHAT)][-1]["done"]
        assert ollama.open_connections <= 2


@pytest.mark.parametrize(
    ("status", "text", "error"),
    [
        (400, "Bad Request: the input length exceeds the CONTEXT LENGTH", ContextTooLong),
        (400, "request (9000 tokens) exceeds the available context size (8192 tokens)", ContextTooLong),
        (500, "input is larger than the context window", ContextTooLong),
        (404, "model 'x' not found", ModelMissing),
        (400, "x does not support thinking", ModelRefused),
        (403, "", ModelRefused),
        (413, "too large", ModelRefused),
        (429, "", ModelBusy),
        (503, "", ModelBusy),
        (500, "", UpstreamBroken),
        (502, "", UpstreamBroken),
        (302, "", UpstreamBroken),
    ],
)
def test_statuses_and_phrases(status: int, text: str, error: type[RouterError]) -> None:
    refused = refusal(status, text, "x")
    assert type(refused) is error
    assert "x" in refused.message
    retry: Any = getattr(refused, "retry_after_s", None)
    assert bool(retry) == (error is ModelBusy)


def test_a_long_refusal_is_shown_in_part() -> None:
    assert len(refusal(400, "x" * 10_000, "m").message) < MAX_SHOWN_CHARS + 50

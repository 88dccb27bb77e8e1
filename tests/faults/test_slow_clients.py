"""Clients that send their request slowly, or not to its end, over real sockets with short limits."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.scripted_ollama import Reply, ScriptedOllama
from tests.support.service import CHAT, Running, ask, running_service
from wire.slow_clients import MAX_HEAD_BYTES

pytestmark = pytest.mark.asyncio(loop_scope="module")
HEAD_S, BODY_S = 0.15, 0.3
START = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\ncontent-type: application/json\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    server = {"head_timeout_s": HEAD_S, "body_timeout_s": BODY_S, "max_body_bytes": 200_000}
    async with (
        ScriptedOllama() as ollama,
        running_service(ollama, tmp_path_factory.mktemp("hasty"), server=server) as running,
    ):
        yield running


class Raw:
    """One connection, written by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, running: Running) -> "Raw":
        return cls(*await asyncio.open_connection("127.0.0.1", int(running.base_url.rpartition(":")[2])))

    async def drip(self, piece: bytes, every_s: float) -> None:
        """Send the piece again and again until the other side has closed."""
        try:
            while not self.reader.at_eof():
                self.writer.write(piece)
                await self.writer.drain()
                await asyncio.sleep(every_s)
        except ConnectionError:
            return

    async def answer(self) -> bytes:
        """All that comes until the connection is closed."""
        try:
            return await asyncio.wait_for(self.reader.read(), 5)
        finally:
            self.writer.close()


def error_of(answer: bytes, status: int) -> dict[str, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status, answer
    error: dict[str, str] = json.loads(body)["error"]
    return error


@pytest.mark.parametrize("begun", [b"GET ", START, START + b"content-length: 5"])
async def test_headers_that_do_not_end(hasty: Running, begun: bytes) -> None:
    raw = await Raw.to(hasty)
    raw.writer.write(begun)
    error = error_of(await raw.answer(), 408)
    assert error["code"] == "request_timeout"
    assert "head_timeout_s" in error["message"]


async def test_headers_that_drip(hasty: Running) -> None:
    raw = await Raw.to(hasty)
    raw.writer.write(START)
    dripping = asyncio.create_task(raw.drip(b"x-a: b\r\n", HEAD_S / 5))
    error_of(await raw.answer(), 408)
    await dripping


async def test_a_connection_that_says_nothing_is_closed_without_a_word(hasty: Running) -> None:
    assert await (await Raw.to(hasty)).answer() == b""


async def test_empty_lines_hold_no_connection(hasty: Running) -> None:
    raw = await Raw.to(hasty)
    raw.writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"alive" in await raw.reader.readuntil(b"}")
    dripping = asyncio.create_task(raw.drip(b"\r\n", HEAD_S / 5))
    await raw.answer()
    await dripping


async def test_headers_without_end_are_not_kept(hasty: Running) -> None:
    raw = await Raw.to(hasty)
    raw.writer.write(START + b"x: " + b"y" * (MAX_HEAD_BYTES + 1))
    assert error_of(await raw.answer(), 431)["code"] == "head_too_large"


async def test_a_large_head_that_comes_in_one_read_starts_nothing(hasty: Running) -> None:
    """One header of 66,000 bytes was let in where its end came in the same read."""
    raw = await Raw.to(hasty)
    raw.writer.write(START + b"x: " + b"y" * (MAX_HEAD_BYTES + 1) + b"\r\ncontent-length: 2\r\n\r\n{}")
    assert error_of(await raw.answer(), 431)["code"] == "head_too_large"
    assert hasty.ollama.chats == []


@pytest.mark.parametrize("framing", [b"content-length: 1000", b"transfer-encoding: chunked"])
async def test_a_body_that_drips(hasty: Running, framing: bytes) -> None:
    raw = await Raw.to(hasty)
    raw.writer.write(START + framing + b"\r\n\r\n")
    piece = b"1\r\n \r\n" if b"chunked" in framing else b" "
    dripping = asyncio.create_task(raw.drip(piece, BODY_S / 10))
    error = error_of(await raw.answer(), 408)
    assert "body_timeout_s" in error["message"]
    await dripping
    assert hasty.ollama.chats == []


async def test_a_body_in_chunks_that_grows_too_large(hasty: Running) -> None:
    raw = await Raw.to(hasty)
    raw.writer.write(START + b"transfer-encoding: chunked\r\n\r\n")
    for _ in range(5):
        raw.writer.write(b"c350\r\n" + b" " * 50_000 + b"\r\n")
    error = error_of(await raw.answer(), 413)
    assert error["code"] == "body_too_large"


async def test_an_answer_may_take_longer_than_its_request(hasty: Running) -> None:
    hasty.ollama.script(Reply.text("a", "b").gate_after(1))
    async with hasty.http.stream("POST", CHAT, json=ask(stream=True)) as answer:
        await hasty.ollama.wait_held()
        await asyncio.sleep(HEAD_S + BODY_S)
        hasty.ollama.release()
        text = await answer.aread()
    assert text.endswith(b"data: [DONE]\n\n")

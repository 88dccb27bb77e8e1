"""A scripted Ollama written for speed, in a process of its own: `python -m benchmarks.overhead.upstream PORT`.

Every line is made beforehand and nothing of a chat is parsed. `POST /script` with `{"chunks": 21, "pace_ms": 0}` sets
how the next chats are answered: so many pieces of text and the line with `done`, each written by itself, with so many
milliseconds before each of them; without a pace at once. Where the body says `"stream": false`, one object.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, cast

import orjson
import uvloop

MODELS = {"qwen3:30b-a3b": 40_960, "qwen2.5-coder:32b": 131_072, "llama4:16x17b": 1_048_576}
LARGEST_ASKED_TOKENS = 200_000
BYTES_PER_TOKEN = 5
_COUNT = 987_654_321  # stands where the count goes
STAMP = "2026-01-01T00:00:00.000000Z"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"transfer-encoding: *chunked", re.IGNORECASE)
_NOT_STREAMED = re.compile(rb'"stream": ?false')
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"


def _counted(answer: bytes, request: bytes) -> bytes:
    """With about as many tokens of prompt as the request has; blanks before a number are JSON."""
    return answer.replace(str(_COUNT).encode(), b"%9d" % (len(request) // BYTES_PER_TOKEN), 1)


def _whole(answer: Mapping[str, Any]) -> bytes:
    body = orjson.dumps(answer)
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Script:
    """The answer to every chat, as bytes ready to be written."""

    def __init__(self, chunks: int = 21, pace_ms: float = 0.0) -> None:
        line = {"model": "scripted", "created_at": STAMP}
        durations = {"total_duration": 3_000_000, "load_duration": 1_000_000, "prompt_eval_duration": 1_000_000}
        end = {"done_reason": "stop", "prompt_eval_count": _COUNT, "eval_count": chunks, "eval_duration": 1_000_000}
        last = {**line, "message": {"role": "assistant", "content": ""}, "done": True, **durations, **end}
        # Two in turn: litellm ends a stream that says the same a hundred times.
        said = [{**line, "message": {"role": "assistant", "content": text}} for text in (" word", " words")]
        self._pieces = tuple(_chunk(orjson.dumps({**each, "done": False}) + b"\n") for each in said)
        self._chunks = chunks
        self._last = _chunk(orjson.dumps(last) + b"\n") + b"0\r\n\r\n"
        self._whole = _whole({**last, "message": {"role": "assistant", "content": " word" * chunks}})
        self.pace_s = pace_ms / 1_000

    def pieces(self, request: bytes) -> Iterator[bytes]:
        """Each as one HTTP chunk, the last with the end of all."""
        yield from itertools.islice(itertools.cycle(self._pieces), self._chunks)
        yield _counted(self._last, request)

    def whole(self, request: bytes) -> bytes:
        """The answer in one, with its head."""
        return _counted(self._whole, request)


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests come one after the other."""

    script = Script()

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed = 0
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        if self._answering:
            self._answering.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._needed:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end]
            length = _LENGTH.search(head)
            self._needed = end + 4 + (int(length.group(1)) if length else 0)
            if _CHUNKED.search(head) and not self._buffer.endswith(b"0\r\n\r\n"):
                self._needed = 0
                return
        if len(self._buffer) < self._needed:
            return
        request, self._buffer, self._needed = bytes(self._buffer), bytearray(), 0
        self._answer(request)

    def _answer(self, request: bytes) -> None:
        path = request.split(b" ", 2)[1]
        if path != b"/api/chat":
            self._transport.write(_whole(_managed(path, request)))
        elif _NOT_STREAMED.search(request):
            self._transport.write(self.script.whole(request))
        elif self.script.pace_s:
            self._answering = asyncio.create_task(self._paced(self.script, request))
        else:
            self._transport.write(_HEAD)
            for piece in self.script.pieces(request):
                self._transport.write(piece)

    async def _paced(self, script: Script, request: bytes) -> None:
        self._transport.write(_HEAD)
        for piece in script.pieces(request):
            await asyncio.sleep(script.pace_s)
            self._transport.write(piece)


def _managed(path: bytes, request: bytes) -> dict[str, Any]:
    if path == b"/script":
        Connection.script = Script(**orjson.loads(request.partition(b"\r\n\r\n")[2]))
        return {}
    if path == b"/api/show":
        asked = orjson.loads(request.partition(b"\r\n\r\n")[2])
        window = MODELS.get(asked.get("model") or asked.get("name"), 131_072)
        facts = {"general.architecture": "scripted", "scripted.context_length": window}
        return {"capabilities": ["completion", "tools"], "model_info": facts, "details": {}, "template": ""}
    if path == b"/api/version":
        return {"version": "0.12.6"}
    models = [
        {
            "name": name,
            "model": name,
            "size": 1,
            "size_vram": 1,
            "details": {},
            "context_length": min(window, LARGEST_ASKED_TOKENS),
        }
        for name, window in MODELS.items()
    ]
    return {"models": models}


async def serve(port: int) -> None:
    """Answer until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))

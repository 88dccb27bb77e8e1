"""Clients of a scripted Ollama, and a server that sends exactly the bytes it is told to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from backends.chat_model import RouterChatOllama
from backends.http_transport import AiohttpTransport
from backends.ndjson import ChatTransport
from backends.patience import CallLimits

MODEL = "qwen3:30b-a3b"
CHAT: Mapping[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "stream": True}
PATIENT = CallLimits(connect_s=5, first_token_s=5, idle_s=5)


@asynccontextmanager
async def transport_to(base_url: str, limits: CallLimits = PATIENT) -> AsyncIterator[ChatTransport]:
    async with httpx.AsyncClient(base_url=base_url, trust_env=False, transport=AiohttpTransport(10)) as client:
        yield ChatTransport(client, limits)


@asynccontextmanager
async def chat_model_to(base_url: str, name: str = MODEL) -> AsyncIterator[RouterChatOllama]:
    async with transport_to(base_url) as transport:
        yield RouterChatOllama(model=name, base_url=base_url, keep_alive="5m", transport=transport)


async def chunks_of(base_url: str, limits: CallLimits = PATIENT, **changes: Any) -> list[dict[str, Any]]:
    async with transport_to(base_url, limits) as transport:
        return [chunk async for chunk in transport.stream({**CHAT, **changes})]


async def text_of(base_url: str, limits: CallLimits = PATIENT) -> str:
    return "".join(chunk["message"]["content"] for chunk in await chunks_of(base_url, limits))


@asynccontextmanager
async def raw_server(answer: bytes, *, then_hang: bool = False) -> AsyncIterator[str]:
    """Sends `answer` to whoever asks; then closes, or keeps the connection open until the client hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            if then_hang:
                await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    serving: set[asyncio.Task[Any]] = set()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.close()
        if serving:
            await asyncio.wait(serving)
        await server.wait_closed()

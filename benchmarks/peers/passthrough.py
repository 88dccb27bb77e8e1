"""The plainest possible pass-through: FastAPI and one httpx client, lines of Ollama's turned into OpenAI's chunks."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

OLLAMA = os.environ["OLLAMA_BASE_URL"]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for all requests."""
    async with httpx.AsyncClient(base_url=OLLAMA, trust_env=False, timeout=600) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/v1/chat/completions")
async def chat(request: Request) -> Response:
    """Pass a chat on and its answer back."""
    body = await request.json()
    client: httpx.AsyncClient = request.app.state.client
    asked = {"model": "qwen2.5-coder:32b", "messages": body["messages"], "stream": bool(body.get("stream"))}
    asked |= {"tools": body["tools"]} if "tools" in body else {}
    if not asked["stream"]:
        answer = (await client.post("/api/chat", json=asked)).json()
        return JSONResponse({"object": "chat.completion", "choices": [{"index": 0, "message": answer["message"]}]})
    return StreamingResponse(_streamed(client, asked), media_type="text/event-stream")


async def _streamed(client: httpx.AsyncClient, asked: dict[str, Any]) -> AsyncIterator[str]:
    async with client.stream("POST", "/api/chat", json=asked) as response:
        async for line in response.aiter_lines():
            told = json.loads(line)
            choice = {"index": 0, "delta": told["message"], "finish_reason": "stop" if told["done"] else None}
            yield f"data: {json.dumps({'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"
    yield "data: [DONE]\n\n"

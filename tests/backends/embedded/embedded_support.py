"""Calls of the embedded backend's API."""

from __future__ import annotations

from typing import Any

import httpx

MODEL = "smollm2:135m"


SHORT = {"num_predict": 6, "temperature": 0}
LONG = "word " * 300


def chat_body(text: str = "Say hi.", **changes: Any) -> dict[str, Any]:
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}], "stream": False, "options": SHORT}
    return body | changes


async def chat(http: httpx.AsyncClient, text: str = "Say hi.", **changes: Any) -> dict[str, Any]:
    response = await http.post("/api/chat", json=chat_body(text, **changes))
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer

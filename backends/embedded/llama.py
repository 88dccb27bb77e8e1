"""Client of the llama-server that runs inside this process, over its own loopback listener."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any, Literal, Self

import httpx
import orjson

from backends.embedded.replies import ApiError

_CONNECT_TIMEOUT_S = 5.0
# A prompt may wait its turn and then be read for minutes; how long that may take is the caller's to decide.
_TIMEOUT = httpx.Timeout(_CONNECT_TIMEOUT_S, read=None, write=None, pool=None)
_SSE_DATA = "data:"


@dataclass(frozen=True, slots=True)
class Completed:
    """What llama.cpp counted; `prompt_tokens` includes the `cached_tokens` it did not have to read again."""

    done_reason: Literal["stop", "length"]
    prompt_tokens: int
    cached_tokens: int
    prompt_ns: int
    answer_tokens: int
    answer_ns: int


class LlamaServer:
    """An async context manager; every method raises `ApiError` 500 when llama-server breaks off."""

    def __init__(self, address: str, key: str) -> None:
        self._client = httpx.AsyncClient(
            base_url=address,
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT,
            limits=httpx.Limits(max_connections=None),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def properties(self) -> Mapping[str, Any]:
        """llama-server's `/props`: template, quantisation, window."""
        try:
            response = await self._client.get("/props")
        except httpx.HTTPError as exc:
            raise _broke_off(exc) from exc
        return _object(response)

    async def tokenize(self, prompt: str) -> list[int]:
        """Token ids as `/completion` would make them of the same text, control tokens included."""
        body = {"content": prompt, "add_special": True, "parse_special": True}
        try:
            response = await self._client.post("/tokenize", content=orjson.dumps(body))
        except httpx.HTTPError as exc:
            raise _broke_off(exc) from exc
        tokens: list[int] = _object(response)["tokens"]
        return tokens

    async def complete(self, body: Mapping[str, Any]) -> AsyncGenerator[str | Completed, None]:
        """Stream the text in pieces, then `Completed`; closing the generator early frees the slot."""
        # llama-server looks for a client that has gone when it has something to send, otherwise once a second only.
        content = orjson.dumps({**body, "stream": True, "return_progress": True})
        async with AsyncExitStack() as stack:
            try:
                response = await stack.enter_async_context(self._client.stream("POST", "/completion", content=content))
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    _object(response)
                lines = await stack.enter_async_context(aclosing(_lines(response)))
                async for line in lines:
                    event = _event(line)
                    if event.get("content"):
                        yield event["content"]
                    if event.get("stop"):
                        yield _completed(event)
                        return
            except httpx.HTTPError as exc:
                raise _broke_off(exc) from exc
        raise ApiError(500, "llama-server ended its answer without an end mark")


async def _lines(response: httpx.Response) -> AsyncGenerator[str, None]:
    async for line in response.aiter_lines():
        if line.startswith(_SSE_DATA):
            yield line.removeprefix(_SSE_DATA)


def _event(line: str) -> dict[str, Any]:
    event: dict[str, Any] = orjson.loads(line)
    if "error" in event:
        raise ApiError(500, str(event["error"].get("message", "llama-server failed")))
    return event


def _completed(event: Mapping[str, Any]) -> Completed:
    timings = event["timings"]
    return Completed(
        done_reason="length" if event["stop_type"] == "limit" else "stop",
        prompt_tokens=event["tokens_evaluated"],
        cached_tokens=timings["cache_n"],
        prompt_ns=round(timings["prompt_ms"] * 1e6),
        answer_tokens=event["tokens_predicted"],
        answer_ns=round(timings["predicted_ms"] * 1e6),
    )


def _object(response: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(response.content)
    if response.status_code != httpx.codes.OK:
        raise ApiError(response.status_code, str(body.get("error", {}).get("message", "llama-server failed")))
    return body


def _broke_off(exc: httpx.HTTPError) -> ApiError:
    return ApiError(500, f"llama-server broke off ({type(exc).__name__})")

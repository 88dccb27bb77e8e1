"""One streamed `/api/chat` call, read strictly: time limits, errors by kind, and no answer without its end mark.

The `ollama` package's client takes a stream that breaks off for a whole one and cannot send `truncate`; this reader is
what `backends.chat_model` uses in its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from backends.json_bytes import json_bytes
from backends.ollama_api import model_missing, unreachable
from config.errors import ContextTooLong, ModelBusy, ModelRefused, ModelTimeout, RouterError, UpstreamBroken

MAX_LINE_BYTES = 16 * 1024 * 1024
MAX_SHOWN_CHARS = 300
BUSY_RETRY_AFTER_S = 5.0
OVERFLOW_PHRASES = ("context length", "context size", "context window", "exceeds the available context")


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Time limits of one call in seconds; the first token's covers loading the model and reading the prompt."""

    connect_s: float
    first_token_s: float
    idle_s: float


class ChatTransport:
    """Sends chat calls to one server; the HTTP client is shared and closed by its owner."""

    def __init__(self, client: httpx.AsyncClient, limits: CallLimits) -> None:
        self._client = client
        self._limits = limits

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Yield Ollama's chunks up to and including the one with `done: true`.

        Raises:
            BackendUnavailable, ModelMissing, ModelBusy, ModelRefused, ContextTooLong: before the first chunk.
            ModelTimeout: nothing came within the first-token or idle limit.
            UpstreamBroken: an error line, a malformed line, or an end without `done: true`.
        """
        name = str(body.get("model"))
        timeout = httpx.Timeout(None, connect=self._limits.connect_s)
        limit = _Deadline(name, self._limits)
        try:
            request = self._client.build_request("POST", "/api/chat", content=json_bytes(body), timeout=timeout)
            response = await limit.wait(self._client.send(request, stream=True))
            try:
                await self._check_status(response, name, limit)
                async with aclosing(_lines(response)) as lines:
                    while True:
                        chunk = _parse(await limit.wait(anext(lines)), name)
                        limit.saw(chunk)
                        yield chunk
                        if chunk.get("done") is True:
                            return
            finally:
                await asyncio.shield(response.aclose())
        except StopAsyncIteration:
            raise UpstreamBroken(f"The answer of {name} broke off before its end: try again.") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise unreachable(str(self._client.base_url).rstrip("/")) from error
        except httpx.HTTPError as error:
            raise UpstreamBroken(f"The connection to {name} broke ({type(error).__name__}): try again.") from error

    async def _check_status(self, response: httpx.Response, name: str, limit: _Deadline) -> None:
        if response.is_success:
            return
        text = _error_text(await limit.wait(response.aread()))
        raise refusal(response.status_code, text, name)


class _Deadline:
    """Applies the first-token limit until something of the answer came, the idle limit afterwards."""

    def __init__(self, name: str, limits: CallLimits) -> None:
        self._name = name
        self._limits = limits
        self._first_by = asyncio.get_running_loop().time() + limits.first_token_s
        self._started = False

    def saw(self, chunk: Mapping[str, Any]) -> None:
        message = chunk.get("message")
        if isinstance(message, dict) and any(message.get(key) for key in ("content", "thinking", "tool_calls")):
            self._started = True

    async def wait(self, awaitable: Any) -> Any:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(loop.time() + self._limits.idle_s if self._started else self._first_by):
                return await awaitable
        except TimeoutError:
            if self._started:
                raise ModelTimeout(
                    f"{self._name} fell silent for {self._limits.idle_s:.0f} s in mid-answer (backend.idle_timeout_s): "
                    "try again."
                ) from None
            raise ModelTimeout(
                f"{self._name} gave no token within {self._limits.first_token_s:.0f} s "
                "(backend.first_token_timeout_s): try again, or raise the limit."
            ) from None


async def _lines(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """Split the body on newlines only; httpx's own splitter also breaks on characters that JSON may hold."""
    rest = bytearray()
    async for piece in response.aiter_bytes():
        rest += piece
        while (end := rest.find(b"\n")) >= 0:
            line = bytes(rest[:end]).strip()
            del rest[: end + 1]
            if line:
                yield line
        if len(rest) > MAX_LINE_BYTES:
            raise UpstreamBroken(f"The model's server sent a line of more than {MAX_LINE_BYTES} bytes.")
    if line := bytes(rest).strip():
        yield line


def _parse(line: bytes, name: str) -> dict[str, Any]:
    try:
        chunk = orjson.loads(line)
    except orjson.JSONDecodeError:
        chunk = None
    if not isinstance(chunk, dict):
        raise UpstreamBroken(f"The answer of {name} broke off or is no JSON: try again.")
    if error := chunk.get("error"):
        raise refusal(httpx.codes.INTERNAL_SERVER_ERROR, str(error), name)
    return chunk


def _error_text(body: bytes) -> str:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    return str(error or "")


def refusal(status: int, text: str, name: str) -> RouterError:
    """The error for what a model server answered in place of tokens."""
    shown = text.strip()[:MAX_SHOWN_CHARS] or f"status {status}"
    if any(phrase in text.lower() for phrase in OVERFLOW_PHRASES):
        return ContextTooLong(f"The request does not fit the window of {name} ({shown}).", param="messages")
    if status == httpx.codes.NOT_FOUND:
        return model_missing(name)
    if status in {httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS}:
        return ModelBusy(f"{name} is busy ({shown}): try again.", retry_after_s=BUSY_RETRY_AFTER_S)
    if httpx.codes.is_client_error(status):
        return ModelRefused(f"{name} refused the request: {shown}")
    return UpstreamBroken(f"{name} failed: {shown}")

"""One streamed `/api/chat` call, read strictly: time limits, errors by kind, and no answer without its end mark.

The `ollama` package's client takes a stream that breaks off for a whole one and cannot send `truncate`; this reader is
what `backends.chat_model` uses in its place.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping
from contextlib import aclosing, closing
from typing import Any, cast

import httpx
import orjson

from backends.json_bytes import json_bytes
from backends.ollama_api import UNCUT, UNREACHABLE_RETRY_AFTER_S, model_missing, unreachable
from backends.patience import CallLimits, Deadline, wait_for_load
from config.errors import ConnectTimeout, ContextTooLong, ModelBusy, ModelRefused, RouterError, UpstreamBroken

MAX_LINE_BYTES = 16 * 1024 * 1024
MAX_SHOWN_CHARS = 300
# Of what has come in one piece, after its first line, which goes out alone: a long one must not hold up everybody else.
LINES_AT_ONCE = 16
BUSY_RETRY_AFTER_S = 5.0
NANOSECONDS = 1e-9
# A refusal to load that says nothing of the call itself, which is made all the same and tells what is missing.
NOT_OF_THE_CALL = (httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED)
NOTHING = httpx.ByteStream(b"")
_COUNTED = re.compile(r"(\d+) tokens\b")
OVERFLOW_PHRASES = ("context length", "context size", "context window", "exceeds the available context")


IsLoaded = Callable[[], Awaitable[bool]]


class ChatTransport:
    """Sends chat calls to one server; the HTTP client is shared and closed by its owner.

    `is_loaded` tells whether a call would find the model ready. Where it would not, the model is loaded by a request of
    its own first: within one call nothing tells loading from reading the prompt, as Ollama sends its headers with the
    first token and lists a model in `/api/ps` as soon as it begins to load. So a model that `loading`, which all
    transports of a server share, counts a load of is not ready either: the call's own then waits for that one.
    `check_load` looks at what became of the load. Both raise where the call must not be made.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        limits: CallLimits,
        is_loaded: IsLoaded | None = None,
        loading: Counter[str] | None = None,
        check_load: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._client = client
        self._chat_url = client.build_request("POST", "/api/chat").url
        self._limits = limits
        self._is_loaded = is_loaded
        self._loading = Counter() if loading is None else loading
        self._check_load = check_load

    async def stream(
        self, body: Mapping[str, Any], *, prefill_s: float | None = None, call_s: float = 0.0
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield Ollama's chunks up to and including the one with `done: true`.

        `prefill_s` is how long reading the prompt is expected to take, None where that is not known; `call_s` how long
        writing the longest tool call is, 0 where none may come.

        Raises:
            BackendUnavailable, ConnectTimeout, LoadTimeout, ModelMissing, ModelBusy, ModelRefused, ContextTooLong:
                before the first chunk.
            SmallerWindow: what the server loaded has not the window that the call was planned with.
            FirstTokenTimeout, IdleTimeout: nothing came within the limit.
            UpstreamBroken: an error line, a malformed line, or an end without `done: true`.
        """
        name = str(body.get("model"))
        try:
            load_s = await self._load_first(body)
            with closing(Deadline(name, self._limits, prefill_s, call_s)) as limit:
                response = await limit.wait(self._send(self._chat_url, body))
                try:
                    await self._check_status(response, name, limit)
                    async with aclosing(_lines(response)) as portions:
                        while True:
                            for line in await limit.wait(anext(portions)):
                                chunk = _parse(line, name)
                                if chunk.get("done") is True:
                                    yield _with_load(chunk, load_s)
                                    return
                                limit.saw(chunk)
                                yield chunk
                finally:
                    try:
                        await asyncio.shield(response.aclose())
                    finally:
                        response.stream = NOTHING  # httpx's own holds the response, and so all of it until a collection
        except StopAsyncIteration:
            raise UpstreamBroken(f"The answer of {name} broke off before its end: try again.", transient=True) from None
        except httpx.ConnectTimeout as error:
            raise ConnectTimeout(
                f"Nothing accepted a connection at {self._base_url} within {self._limits.connect_s:.3g} s "
                "(backend.connect_timeout_s): see whether Ollama hangs.",
                retry_after_s=UNREACHABLE_RETRY_AFTER_S,
            ) from error
        except httpx.ConnectError as error:
            raise unreachable(self._base_url) from error
        except httpx.HTTPError as error:
            raise UpstreamBroken(
                f"The connection to {name} broke ({type(error).__name__}): try again.", transient=True
            ) from error

    @property
    def _base_url(self) -> str:
        return str(self._client.base_url).rstrip("/")

    async def load(self, body: Mapping[str, Any]) -> bool:
        """Load the model of a call as the call will want it, with a request that asks nothing; whether it was taken.

        Raises:
            LoadTimeout, BackendUnavailable, ModelBusy, UpstreamBroken: as the call would.
        """
        asked = {key: body[key] for key in ("model", "options", "keep_alive") if key in body}
        name = str(body.get("model"))
        self._loading[name] += 1
        try:
            loading = self._ask("/api/generate", {**asked, "stream": False, **UNCUT})
            status, text = await wait_for_load(name, self._limits, loading)
        finally:
            self._loading[name] -= 1
        if status in NOT_OF_THE_CALL:
            return False
        if not httpx.codes.is_success(status):
            raise refusal(status, text, name)
        return True

    async def _load_first(self, body: Mapping[str, Any]) -> float:
        """The seconds it took to make the model ready."""
        if self._is_loaded is None or (await self._is_loaded() and not self._loading[str(body.get("model"))]):
            return 0.0
        started = time.perf_counter()
        await self.load(body)
        if self._check_load:
            await self._check_load()
        return time.perf_counter() - started

    async def _send(self, url: httpx.URL | str, body: Mapping[str, Any]) -> httpx.Response:
        timeout = httpx.Timeout(None, connect=self._limits.connect_s)
        request = self._client.build_request("POST", url, content=json_bytes(body), timeout=timeout)
        return await self._client.send(request, stream=True)

    async def _ask(self, path: str, body: Mapping[str, Any]) -> tuple[int, str]:
        response = await self._send(path, body)
        try:
            return response.status_code, _error_text(await response.aread())
        finally:
            await asyncio.shield(response.aclose())

    async def _check_status(self, response: httpx.Response, name: str, limit: Deadline) -> None:
        if response.is_success:
            return
        text = _error_text(await limit.wait(response.aread()))
        raise refusal(response.status_code, text, name)


def _with_load(chunk: dict[str, Any], load_s: float) -> dict[str, Any]:
    """The last chunk tells how long the model was loaded for this call, whichever request loaded it."""
    told = chunk.get("load_duration")
    if not load_s or not isinstance(told, int):
        return chunk
    return {**chunk, "load_duration": told + round(load_s / NANOSECONDS)}


async def _lines(response: httpx.Response) -> AsyncGenerator[list[bytes], None]:
    """Split the body on newlines only; httpx's own splitter also breaks on characters that JSON may hold.

    Gives what has come in portions, the first line alone; others get their turn in between.
    """
    rest = bytearray()
    at_once, given = 1, 0
    # What httpx does besides undoing a compression takes more time than all else that is done to a piece here.
    packed = "content-encoding" in response.headers
    pieces = response.aiter_bytes() if packed else cast("AsyncIterable[bytes]", response.stream)
    async for piece in pieces:
        rest += piece
        end = rest.rfind(b"\n") + 1
        lines = [line for each in rest[:end].split(b"\n") if (line := bytes(each).strip())]
        del rest[:end]
        while lines:
            portion = lines[:at_once]
            del lines[:at_once]
            yield portion
            given += len(portion)
            if given >= at_once:
                await asyncio.sleep(0)
                given = 0
            at_once = LINES_AT_ONCE
        if len(rest) > MAX_LINE_BYTES:
            raise UpstreamBroken(f"The model's server sent a line of more than {MAX_LINE_BYTES} bytes.")
    if line := bytes(rest).strip():
        yield [line]


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
        return _overflow(text, shown, name)
    if status == httpx.codes.NOT_FOUND:
        return model_missing(name)
    if status in {httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS}:
        return ModelBusy(f"{name} is busy ({shown}): try again.", retry_after_s=BUSY_RETRY_AFTER_S, transient=True)
    if httpx.codes.is_client_error(status):
        return ModelRefused(f"{name} refused the request: {shown}")
    return UpstreamBroken(f"{name} failed: {shown}", transient=httpx.codes.is_server_error(status))


def _overflow(text: str, shown: str, name: str) -> ContextTooLong:
    """In OpenAI's words, which clients look for before they shorten their history; with the server's own counts."""
    counts = [int(count) for count in _COUNTED.findall(text)]
    told = (
        f"This model's maximum context length is {min(counts)} tokens. However, you requested {max(counts)} tokens."
        if len(counts) > 1
        else f"The request exceeds the maximum context length of {name} ({shown})."
    )
    return ContextTooLong(f"{told} Please reduce the length of the messages, or start a new task.", param="messages")

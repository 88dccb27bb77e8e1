"""The parent's side of the embedded backend: start the child process, know its address, end it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
from collections import deque
from dataclasses import dataclass
from typing import Self

from backends.embedded import spawn
from config.errors import BackendUnavailable

START_TIMEOUT_S = 60.0
STOP_GRACE_S = 3.0
_STDERR_TAIL_LINES = 20
_STDERR_READ_BYTES = 4096
_STDERR_LINE_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class _Address:
    port: int
    model: str
    window_tokens: int


class EmbeddedBackend:
    """Ollama's HTTP API over llama.cpp and the packaged model, in a child process that dies with this one.

    An async context manager, or `start` and `close`. After `start`, hand `base_url` and `headers` to any
    Ollama client. When the child ends by itself, `wait` returns, and `start` may be called again for a new
    one (new port, new key). All calls belong to one event loop.
    """

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._address: _Address | None = None
        self._key = ""
        self._stderr = _Tail()
        self._drain: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._started.port}"

    @property
    def headers(self) -> dict[str, str]:
        """What every request must carry."""
        return {"Authorization": f"Bearer {self._key}"}

    @property
    def model(self) -> str:
        """The one model's name, as Ollama would write it."""
        return self._started.model

    @property
    def window_tokens(self) -> int:
        """The loaded context window."""
        return self._started.window_tokens

    @property
    def pid(self) -> int | None:
        """The child's process id; None before `start` and after `close`."""
        return self._process.pid if self._process else None

    @property
    def returncode(self) -> int | None:
        """The child's exit status (negative: the signal), None while it runs or was never started."""
        return self._process.returncode if self._process else None

    @property
    def is_alive(self) -> bool:
        """Whether the child runs."""
        return self._process is not None and self._process.returncode is None

    @property
    def stderr_tail(self) -> str:
        """The last lines the child wrote to its standard error."""
        return self._stderr.text()

    async def start(self) -> None:
        """Return when the child accepts requests, about a second later; nothing to do if it runs already.

        Raises `BackendUnavailable` when a package is missing, or the child ends or says nothing for
        `START_TIMEOUT_S`. However this ends other than well, cancellation included, no child is left.
        """
        if self.is_alive:
            return
        await self.close()
        if missing := spawn.missing_packages():
            raise BackendUnavailable(
                f"The embedded backend needs {' and '.join(missing)}: run `pip install --no-deps -r requirements.txt`."
            )
        self._key = secrets.token_urlsafe()
        self._stderr = _Tail()
        try:
            self._address = await self._launch()
        except BaseException:
            await self.close()
            raise

    async def wait(self) -> int:
        """The child's exit status, once it has ended; for a caller that watches it and starts it again."""
        if self._process is None:
            raise RuntimeError("the embedded backend was not started")
        return await self._process.wait()

    async def close(self) -> None:
        """End the child and reap it: asked first, after `STOP_GRACE_S` killed. Safe to repeat."""
        process, drain = self._process, self._drain
        self._process = self._drain = self._address = None
        if process is None:
            return
        ending = asyncio.create_task(_end(process, drain))
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await ending
            raise

    @property
    def _started(self) -> _Address:
        if self._address is None:
            raise RuntimeError("the embedded backend was not started")
        return self._address

    async def _launch(self) -> _Address:
        self._process = process = await asyncio.create_subprocess_exec(
            *spawn.command(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=spawn.environment(self._key, os.environ),
            **spawn.session(),
        )
        if process.stdout is None or process.stderr is None:
            raise RuntimeError("the child was started without pipes")
        self._drain = asyncio.create_task(self._stderr.follow(process.stderr))
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                line = await process.stdout.readline()
                if not line:
                    await process.wait()
                    await self._drain
        except TimeoutError as exc:
            raise BackendUnavailable(
                f"The embedded backend did not start within {START_TIMEOUT_S:.0f} s. {self._stderr.said()}"
            ) from exc
        if not line:
            raise BackendUnavailable(
                f"The embedded backend ended while starting (exit status {process.returncode}). {self._stderr.said()}"
            )
        return _Address(**json.loads(line))


async def _end(process: asyncio.subprocess.Process, drain: asyncio.Task[None] | None) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(STOP_GRACE_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if drain is not None:
        await drain


class _Tail:
    """Reads a stream to its end, so that its writer never blocks, and remembers the last lines."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_STDERR_TAIL_LINES)
        self._open = ""

    async def follow(self, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(_STDERR_READ_BYTES):
            *whole, self._open = (self._open + data.decode(errors="replace")).split("\n")
            self._lines.extend(line[:_STDERR_LINE_CHARACTERS].rstrip() for line in whole if line.strip())
            self._open = self._open[-_STDERR_LINE_CHARACTERS:]

    def text(self) -> str:
        return "\n".join([*self._lines, *([self._open] if self._open else [])])

    def said(self) -> str:
        """One sentence for an error message."""
        return f"It said last: {self.text()}" if self.text() else "It said nothing."

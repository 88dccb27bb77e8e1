"""Finds Ollama or starts the embedded backend, and keeps the picture of it fresh."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Self

import httpx
import structlog

from backends.current_server import CurrentServer
from backends.discovery import look_at_embedded, look_at_ollama, none_there, pulls
from backends.embedded.launcher import EmbeddedBackend
from backends.http_transport import AiohttpTransport
from backends.ollama_api import OllamaApi
from backends.types import BackendKind, BackendStatus
from config.errors import BackendError, BackendUnavailable, RouterError
from config.schema import Role, RoleSettings
from config.settings import BackendSettings

REFRESH_EVERY_S = 30.0
RESTART_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
LOOK_FOR_OLLAMA_EVERY_S = 5.0
RETIRE_LOOK_EVERY_S = 0.5
# By then, a request that was planned with the models of a server that is left has asked for its lease.
RETIRE_GRACE_S = 15.0
SEARCH_AGAIN_AFTER_S = 5.0
MAX_CONNECTIONS = 200

log = structlog.get_logger(__name__)

# Why the embedded backend has to answer, and what requests are told where it may not.
_Missing = tuple[str, RouterError | None]


class ServerKeeper:
    """Tells `server` what there is. Use as an async context manager; entering returns before a server is ready.

    `calls` tells how many calls of a model run or wait.
    """

    def __init__(
        self,
        settings: BackendSettings,
        roles: Mapping[Role, RoleSettings],
        server: CurrentServer,
        *,
        calls: Callable[[], Mapping[str, int]],
        embedded: Callable[[], EmbeddedBackend] = EmbeddedBackend,
        refresh_every_s: float = REFRESH_EVERY_S,
    ) -> None:
        self._settings = settings
        self._roles = roles
        self._server = server
        self._calls = calls
        self._embedded = embedded
        self._refresh_every_s = refresh_every_s

    async def __aenter__(self) -> Self:
        self._keeping = asyncio.create_task(self._keep(), name="model-service")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        self._server.end_search()  # also where it was ended before it began

    async def _keep(self) -> None:
        """Until cancelled, find or start a server and keep the picture of it fresh; no fault ends that for good."""
        pause_s = min(SEARCH_AGAIN_AFTER_S, self._refresh_every_s)
        try:
            while True:
                try:
                    await self._find_and_keep()
                except Exception as error:
                    log.exception("the search for models failed; it starts again", pause_s=pause_s)
                    reason = f"The search for models failed ({type(error).__name__}) and starts again: see the log."
                    failure = BackendUnavailable(reason, retry_after_s=SEARCH_AGAIN_AFTER_S)
                    self._server.settle(self._without_models(reason), failure=failure)
                    await asyncio.sleep(pause_s)
        finally:
            self._server.end_search()

    async def _find_and_keep(self) -> None:
        missing = await self._find_ollama()
        if missing is None:
            await self._keep_ollama()
        elif self._settings.kind == "ollama":
            await self._keep_looking(missing)
        else:
            await self._keep_embedded(missing[0])

    async def _find_ollama(self) -> _Missing | None:
        """None where an Ollama has any of the models."""
        if self._settings.kind == "embedded":
            return "the configuration asks for it (backend.kind)", None
        async with self._client(self._settings.base_url, {}) as client:
            try:
                found = await self._look(client)
            except RouterError as error:
                return f"no Ollama answers at {self._settings.base_url}", error
        if found.models:
            return None
        failure = none_there(found.base_url, found.version, self._roles)
        return failure.message.rstrip("."), failure

    async def _look(self, client: httpx.AsyncClient) -> BackendStatus:
        return await look_at_ollama(OllamaApi(client), self._roles, timeout_s=self._settings.probe_timeout_s)

    async def _keep_ollama(self) -> None:
        async with self._client(self._settings.base_url, {}) as client:
            while True:
                try:
                    found = await self._look(client)
                    failure = None if found.models else none_there(found.base_url, found.version, self._roles)
                    self._server.settle(found, client, failure=failure)
                except RouterError as error:
                    log.warning("Ollama did not answer", error=error.message)
                    known = self._server.status
                    if known.kind != "embedded":  # which goes on until Ollama takes over
                        known = known if known.models else self._without_models(error.message, "ollama")
                        lost = replace(known, reachable=False, reason=error.message)
                        self._server.settle(lost, client, failure=error)
                await asyncio.sleep(self._refresh_every_s)

    async def _keep_looking(self, missing: _Missing | None) -> None:
        """The configuration asks for Ollama only: stay up without models and take them when they come."""
        while missing is not None:
            reason, failure = missing
            self._server.settle(self._without_models(reason), failure=failure)
            await asyncio.sleep(self._settings.probe_timeout_s)
            missing = await self._find_ollama()
        await self._keep_ollama()

    async def _keep_embedded(self, reason: str) -> None:
        """Run the embedded backend, and start it again when it ends; requests wait for it meanwhile.

        Unless the configuration asks for it, an Ollama that comes later takes over.
        """
        pause_s = RESTART_PAUSE_S
        while True:
            self._server.starts(reason)
            async with AsyncExitStack() as stack:
                backend = self._embedded()
                stack.push_async_callback(_close, backend)
                try:
                    await backend.start()
                    client = await stack.enter_async_context(self._client(backend.base_url, backend.headers))
                    self._server.settle(
                        await look_at_embedded(
                            OllamaApi(client),
                            self._roles,
                            model=backend.model,
                            reason=reason,
                            timeout_s=self._settings.probe_timeout_s,
                        ),
                        client,
                    )
                    log.warning("embedded backend serves all roles", model=backend.model, reason=reason)
                    pause_s = RESTART_PAUSE_S
                    if await self._ollama_comes_first(backend):
                        log.info("Ollama has come and takes over", base_url=self._settings.base_url)
                        await self._hand_over(stack.pop_all(), backend.model)
                        return
                    self._server.unsettle()
                    log.warning("embedded backend ended; starting it again", returncode=backend.returncode)
                except (BackendError, OSError) as error:
                    message = error.message if isinstance(error, BackendError) else f"It cannot be started ({error})."
                    failure = error if isinstance(error, BackendError) else None
                    self._server.settle(self._without_models(message), failure=failure)
                    log.error("embedded backend did not start", error=message)  # noqa: TRY400 - the message is all
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _ollama_comes_first(self, backend: EmbeddedBackend) -> bool:
        """Wait until an Ollama with models is there, or the embedded backend has ended."""
        ended = asyncio.create_task(backend.wait(), name="watch-embedded")
        every_s = min(LOOK_FOR_OLLAMA_EVERY_S, self._refresh_every_s)
        try:
            while not ended.done():
                await asyncio.wait({ended}, timeout=None if self._settings.kind == "embedded" else every_s)
                if not ended.done() and await self._find_ollama() is None:
                    return True
            return False
        finally:
            ended.cancel()
            await asyncio.wait({ended})

    async def _hand_over(self, embedded: AsyncExitStack, model: str) -> None:
        """Go on with Ollama; the embedded backend ends once it has answered what it was asked."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._retire(embedded, model), name="retire-embedded")
            await self._keep_ollama()

    async def _retire(self, embedded: AsyncExitStack, model: str) -> None:
        look_every_s, grace_s = (min(each, self._refresh_every_s) for each in (RETIRE_LOOK_EVERY_S, RETIRE_GRACE_S))
        async with embedded:
            with self._server.leaving():
                while self._server.status.kind == "embedded":  # noqa: ASYNC110 - what is watched has no event, nor below
                    await asyncio.sleep(look_every_s)
                await asyncio.sleep(grace_s)
                while self._calls().get(model):  # noqa: ASYNC110
                    await asyncio.sleep(look_every_s)

    def _without_models(self, reason: str, kind: BackendKind = "none") -> BackendStatus:
        return BackendStatus(kind, self._settings.base_url, None, reason, {}, pulls(self._roles))

    @asynccontextmanager
    async def _client(self, base_url: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.AsyncClient]:
        """A server's shared HTTP client; nothing of the environment's proxies applies to it."""
        async with httpx.AsyncClient(
            base_url=base_url, headers=dict(headers), trust_env=False, transport=AiohttpTransport(MAX_CONNECTIONS)
        ) as client:
            yield client


async def _close(backend: EmbeddedBackend) -> None:
    await asyncio.shield(backend.close())

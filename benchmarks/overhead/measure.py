"""One round: every contender under every load, one after the other, so that what wobbles wobbles for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import orjson

from benchmarks.overhead.bodies import MODEL, Kind, encoder, http
from benchmarks.overhead.contenders import Contender
from benchmarks.overhead.load import Refused, Sent, connected, send
from benchmarks.overhead.loads import Load

MS = 1_000.0
WORD = b" word"


@dataclass(frozen=True, slots=True)
class Figures:
    """What one contender took under one load in one round."""

    ttft_ms_p50: float
    ttft_ms_p95: float
    cpu_ms_per_request: float
    requests_per_s: float
    rss_mb: float
    requests: int


class Measurement:
    """Sends loads to contenders in front of `upstream`; each load lasts about `seconds` at each contender."""

    def __init__(self, upstream: Contender, kinds: Mapping[str, Kind], *, seconds: float) -> None:
        self._upstream = upstream
        self._kinds = kinds
        self._seconds = seconds
        self._opened: set[tuple[int, str]] = set()

    async def take(self, contender: Contender, load: Load) -> Figures:
        """Measure one contender under one load.

        Raises:
            Refused: it answered with an error, or without all the pieces of the answer.
        """
        delivery, kind = load.delivery, self._kinds[load.kind]
        await self._script(delivery.chunks, delivery.pace_ms)
        next_request = encoder(kind, model=MODEL, stream=delivery.stream, path=contender.path, port=contender.port)
        async with connected(contender.port, load.clients) as clients:
            await self._open(contender, load.kind, kind)
            warm = await send(clients, next_request, seconds=0, at_least=load.clients)
            _check(warm, load)
            cpu_before = contender.cpu_s()
            sent = await send(clients, next_request, seconds=self._seconds, at_least=load.least_requests)
            cpu_s = contender.cpu_s() - cpu_before
        _check(sent, load)
        ttft_ms = [answer.first_token_s * MS for answer in sent.answers if answer.first_token_s is not None]
        return Figures(
            ttft_ms_p50=float(np.percentile(ttft_ms, 50)),
            ttft_ms_p95=float(np.percentile(ttft_ms, 95)),
            cpu_ms_per_request=cpu_s * MS / len(sent.answers),
            requests_per_s=len(sent.answers) / sent.seconds,
            rss_mb=contender.rss_mb(),
            requests=len(sent.answers),
        )

    async def _script(self, chunks: int, pace_ms: float) -> None:
        async with connected(self._upstream.port) as (client,):
            script = orjson.dumps({"chunks": chunks, "pace_ms": pace_ms})
            await client.ask(http(script, path="/script", port=self._upstream.port))

    async def _open(self, contender: Contender, name: str, kind: Kind) -> None:
        """The person's turn that a tool turn goes on with, once for each contender."""
        if kind.opening is None or (contender.port, name) in self._opened:
            return
        self._opened.add((contender.port, name))
        body = orjson.dumps({"model": MODEL, **kind.opening, "stream": True})
        async with connected(contender.port) as (client,):
            await client.ask(http(body, path=contender.path, port=contender.port))


def _check(sent: Sent, load: Load) -> None:
    """No contender may be quick by leaving something out."""
    for answer in sent.answers:
        if (words := answer.body.count(WORD)) < load.delivery.chunks:
            raise Refused(f"It sent {words} of {load.delivery.chunks} words: {bytes(answer.body[-300:])!r}")

"""Routes that are made when they are first asked for are made once, and before the request goes on."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from wire.late_routes import LateRoutes, LateRoutesMiddleware


async def test_they_are_made_once_by_whoever_asks_first_below_their_paths() -> None:
    added: list[str] = []
    app = Starlette()

    async def answer(_: Request) -> PlainTextResponse:
        return PlainTextResponse("late")

    def add() -> None:
        added.append("late")
        app.add_route("/late/route", answer)

    app.add_middleware(LateRoutesMiddleware, routes=LateRoutes(add), paths=("/late",))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/lately")).status_code == 404
        assert added == []
        answers = await asyncio.gather(*(client.get("/late/route") for _ in range(8)))

    assert [each.text for each in answers] == ["late"] * 8
    assert added == ["late"]


def test_what_they_fail_with_is_told_each_time() -> None:
    """A second try met the routes that the first had made, and told of those."""
    tries: list[str] = []

    def add() -> None:
        tries.append("late")
        raise ImportError("no such package")

    routes = LateRoutes(add)
    for _ in range(2):
        with pytest.raises(ImportError, match="no such package"):
            routes.ensure()
    assert tries == ["late"]
    assert not routes.are_added


def test_nobody_goes_on_before_they_are_made() -> None:
    asking, added = 4, []
    together = Barrier(asking)
    routes = LateRoutes(lambda: added.append("late"))

    def ask() -> int:
        together.wait()
        routes.ensure()
        return len(added)

    with ThreadPoolExecutor(asking) as threads:
        assert [each.result() for each in [threads.submit(ask) for _ in range(asking)]] == [1] * asking

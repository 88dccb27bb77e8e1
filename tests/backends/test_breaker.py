from __future__ import annotations

import asyncio

import pytest

from backends.breaker import Breaker
from config.errors import (
    BackendUnavailable,
    EmptyAnswer,
    IdleTimeout,
    ModelBroken,
    ModelBusy,
    ModelRefused,
    ToolCallMissing,
    UpstreamBroken,
)
from config.schema import Role
from tests.backends.model_service_support import service_for, text_of
from tests.support.scripted_ollama import Reply, ScriptedOllama

FAST: Role = "memory_fast"
FAST_MODEL = "qwen3:30b-a3b"


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def fail(breaker: Breaker, error: BaseException) -> None:
    with pytest.raises(type(error)), breaker.watch():
        raise error


def is_refused(breaker: Breaker) -> bool:
    try:
        with breaker.watch():
            return False
    except ModelBroken as error:
        return error.message.startswith("No call is made now, as the last 2 calls of m failed")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("m", failures=2, open_s=30, now=clock)


def opened(breaker: Breaker) -> Breaker:
    for _ in range(2):
        fail(breaker, UpstreamBroken("x"))
    return breaker


def test_it_opens_after_failures_in_a_row_only(breaker: Breaker) -> None:
    fail(breaker, UpstreamBroken("x"))
    with breaker.watch():
        pass
    fail(breaker, IdleTimeout("x"))
    assert (breaker.state, breaker.reason) == ("closed", None)
    fail(breaker, IdleTimeout("x"))
    assert (breaker.state, breaker.reason) == ("open", "the last 2 calls of m failed (IdleTimeout)")
    assert is_refused(breaker)


@pytest.mark.parametrize(
    "error",
    [
        BackendUnavailable("x"),
        ModelBusy("x"),
        ModelRefused("x"),
        EmptyAnswer("x"),
        ToolCallMissing("x"),
        asyncio.CancelledError(),
        KeyboardInterrupt(),
    ],
)
def test_what_says_nothing_of_the_model_counts_for_nothing(breaker: Breaker, error: BaseException) -> None:
    for _ in range(5):
        fail(breaker, error)
    assert breaker.state == "closed"


def test_it_is_looked_at_before_one_call_may_try(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    due = []
    for clock.now_s in (29, 30):
        due.append(breaker.due)
    assert due == [False, True]
    assert is_refused(breaker)
    breaker.looked(well=True)
    assert (breaker.state, breaker.due, breaker.reason) == ("half_open", False, None)
    with breaker.watch():
        assert is_refused(breaker)
    assert breaker.state == "closed"


def test_a_bad_look_or_a_failed_try_opens_it_again(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now_s = 30
    breaker.looked(well=False)
    assert (breaker.state, breaker.due) == ("open", False)
    clock.now_s = 60
    breaker.looked(well=True)
    fail(breaker, UpstreamBroken("x"))
    assert (breaker.state, breaker.due) == ("open", False)


def test_a_try_that_is_cancelled_leaves_it_to_the_next(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now_s = 30
    breaker.looked(well=True)
    fail(breaker, asyncio.CancelledError())
    assert (breaker.state, breaker.reason) == ("half_open", None)


async def test_the_look_loads_nothing(ollama: ScriptedOllama) -> None:
    async with service_for(ollama.base_url, breaker_failures=1, breaker_open_s=0.01) as service:
        ollama.script(Reply.http(500, "boom"))
        with pytest.raises(UpstreamBroken):
            await text_of(service, FAST)
        assert service.breakers[FAST_MODEL].state == "open"
        asked = len(ollama.requests)
        while FAST_MODEL in (await service.occupancy()).broken:  # noqa: ASYNC110 - the clock has no event
            await asyncio.sleep(0.005)
        looked = {request.path for request in ollama.requests[asked:]}
        assert "/api/show" in looked
        assert looked <= {"/api/ps", "/api/show", "/api/tags", "/api/version"}
        assert service.breakers[FAST_MODEL].state == "half_open"
        assert await text_of(service, FAST) == "ok"
        assert service.breakers[FAST_MODEL].state == "closed"

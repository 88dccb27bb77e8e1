from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.leases import FIRST_SERVICE_S, LINGER_SHARE, Leases
from backends.residency import Footprint, Residency
from backends.schedule import Limits
from config.errors import ModelBusy


async def turns(count: int = 20) -> None:
    """Let every task that can run do so."""
    for _ in range(count):
        await asyncio.sleep(0)


def leases_of(*, places: int = 1, max_waiting: int = 5, room_for: int = 2, **more: float) -> Leases:
    """Models a, b and c, of which `room_for` can be loaded together; loading one takes no time unless `load_s`."""
    residency = Residency({name: Footprint(1, 60) for name in "abc"}, available_gb=room_for)
    limits = Limits(places, int(more.get("at_once", 3)), max_waiting, more.get("switch_wait_s", 60))
    return Leases(limits, residency, lambda _: more.get("load_s", 0))


class Holder:
    """A call that holds a place until it is told to let go."""

    def __init__(self, leases: Leases, model: str = "a") -> None:
        self.holds = asyncio.Event()
        self.let_go = asyncio.Event()
        self.task = asyncio.create_task(self._hold(leases, model))

    async def _hold(self, leases: Leases, model: str) -> None:
        async with leases.hold(model):
            self.holds.set()
            await self.let_go.wait()

    async def end(self) -> None:
        self.let_go.set()
        await self.task


async def test_places_are_taken_first_come_first_served() -> None:
    leases = leases_of()
    holders = [Holder(leases) for _ in range(4)]
    for number, holder in enumerate(holders):
        await holder.holds.wait()
        assert [each.holds.is_set() for each in holders] == [place <= number for place in range(4)]
        assert leases.waiting["a"] == 3 - number
        await holder.end()


async def test_more_than_may_wait_are_refused_at_once() -> None:
    leases = leases_of(max_waiting=2)
    holders = [Holder(leases) for _ in range(3)]
    await turns()
    with pytest.raises(ModelBusy, match=r"2 calls wait for a already \(backend.max_waiting_calls\)") as caught:
        async with leases.hold("a"):
            pass
    assert caught.value.retry_after_s == FIRST_SERVICE_S
    for holder in holders:
        await holder.end()
    async with leases.hold("a"):
        assert leases.waiting["a"] == 0


async def test_nobody_may_wait() -> None:
    leases = leases_of(max_waiting=0)
    first = Holder(leases)
    await first.holds.wait()
    with pytest.raises(ModelBusy):
        async with leases.hold("a"):
            pass
    await first.end()
    async with leases.hold("a"):
        pass


async def test_a_cancelled_waiter_leaves_the_queue() -> None:
    leases = leases_of(max_waiting=1)
    first, second = Holder(leases), Holder(leases)
    await turns()
    assert leases.waiting["a"] == 1
    second.task.cancel()
    await asyncio.wait({second.task})
    assert leases.waiting["a"] == 0
    third = Holder(leases)
    await first.end()
    await third.holds.wait()
    await third.end()


async def test_a_cancelled_or_failed_holder_frees_its_place() -> None:
    leases = leases_of(max_waiting=1)
    first, second = Holder(leases), Holder(leases)
    await first.holds.wait()
    first.task.cancel()
    await second.holds.wait()
    await second.end()
    with pytest.raises(RuntimeError, match="boom"):
        async with leases.hold("a"):
            raise RuntimeError("boom")
    async with leases.hold("a"):
        pass


@given(seed=st.integers(0, 10_000), places=st.integers(1, 4), max_waiting=st.integers(0, 5), calls=st.integers(1, 25))
def test_never_more_holders_than_places(seed: int, places: int, max_waiting: int, calls: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a reproducible order, no secret
    held = most = refused = 0
    leases = leases_of(places=places, max_waiting=max_waiting)

    async def one() -> None:
        nonlocal held, most, refused
        try:
            async with leases.hold("a"):
                held += 1
                most = max(most, held)
                try:
                    await turns(chance.randrange(4))
                finally:
                    held -= 1
        except ModelBusy:
            refused += 1

    async def everything() -> None:
        tasks = []
        for _ in range(calls):
            tasks.append(asyncio.create_task(one()))
            await turns(chance.randrange(3))
            assert leases.waiting.get("a", 0) <= max_waiting
            if chance.random() < 0.2:
                chance.choice(tasks).cancel()
        await asyncio.wait(tasks)
        assert not any(leases.calls.values())
        async with asyncio.timeout(5):
            await asyncio.gather(*(Holder(leases).end() for _ in range(places)))

    asyncio.run(everything())
    assert most <= places
    assert held == 0
    assert refused <= max(0, calls - places - max_waiting) or calls > places


async def test_retry_after_follows_the_calls_that_were_measured() -> None:
    leases = leases_of(max_waiting=0)
    await Holder(leases).end()
    first = Holder(leases)
    await first.holds.wait()
    with pytest.raises(ModelBusy) as caught:
        async with leases.hold("a"):
            pass
    assert caught.value.retry_after_s is not None
    assert 0 < caught.value.retry_after_s < 5
    await first.end()


async def test_models_that_fit_together_run_side_by_side_up_to_a_number() -> None:
    leases = leases_of(room_for=3, at_once=2)
    holders = [Holder(leases, name) for name in "abc"]
    await turns()
    assert [holder.holds.is_set() for holder in holders] == [True, True, False]
    await holders[0].end()
    await holders[2].holds.wait()
    for holder in holders[1:]:
        await holder.end()


async def test_calls_for_the_loaded_model_go_before_a_switch() -> None:
    leases = leases_of(room_for=1)
    first, other, second, third = (Holder(leases, name) for name in "abaa")
    for holder in (first, second, third):
        await holder.holds.wait()
        assert not other.holds.is_set()
        await holder.end()
    await other.holds.wait()
    await other.end()


async def test_a_call_that_waited_too_long_goes_before_those_for_the_loaded_model() -> None:
    leases = leases_of(room_for=1, switch_wait_s=0.02)
    first, other = Holder(leases, "a"), Holder(leases, "b")
    await turns()
    await asyncio.sleep(0.03)
    later = Holder(leases, "a")
    await first.end()
    await other.holds.wait()
    assert not later.holds.is_set()
    await other.end()
    await later.end()


async def test_a_model_that_was_just_loaded_waits_a_moment_for_its_next_call() -> None:
    leases = leases_of(room_for=1, load_s=0.4)
    first, other = Holder(leases, "a"), Holder(leases, "b")
    await turns()
    await first.end()
    ended_at = asyncio.get_running_loop().time()
    next_of_the_loop = Holder(leases, "a")
    await next_of_the_loop.holds.wait()
    assert not other.holds.is_set()
    await next_of_the_loop.end()
    await other.holds.wait()
    assert asyncio.get_running_loop().time() - ended_at >= LINGER_SHARE * 0.4
    await other.end()


async def test_who_leaves_the_queue_no_longer_holds_a_switch_up() -> None:
    leases = leases_of(room_for=1)
    first, other, gone = (Holder(leases, name) for name in "aba")
    await turns()
    await first.end()
    gone.task.cancel()
    await other.holds.wait()
    await other.end()
    assert set(leases.calls.values()) == {0}

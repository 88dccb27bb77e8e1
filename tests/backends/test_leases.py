from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.leases import Leases
from config.errors import ModelBusy


async def turns(count: int = 20) -> None:
    """Let every task that can run do so."""
    for _ in range(count):
        await asyncio.sleep(0)


class Holder:
    """A call that holds a place until it is told to let go."""

    def __init__(self, leases: Leases) -> None:
        self.holds = asyncio.Event()
        self.let_go = asyncio.Event()
        self.task = asyncio.create_task(self._hold(leases))

    async def _hold(self, leases: Leases) -> None:
        async with leases.hold():
            self.holds.set()
            await self.let_go.wait()

    async def end(self) -> None:
        self.let_go.set()
        await self.task


async def test_places_are_taken_first_come_first_served() -> None:
    leases = Leases("m", places=1, max_waiting=5)
    holders = [Holder(leases) for _ in range(4)]
    for number, holder in enumerate(holders):
        await holder.holds.wait()
        assert [each.holds.is_set() for each in holders] == [place <= number for place in range(4)]
        assert leases.waiting == 3 - number
        await holder.end()


async def test_more_than_may_wait_are_refused_at_once() -> None:
    leases = Leases("qwen", places=1, max_waiting=2)
    holders = [Holder(leases) for _ in range(3)]
    await turns()
    with pytest.raises(ModelBusy, match=r"2 calls wait for qwen already \(backend.max_waiting_calls\)") as caught:
        async with leases.hold():
            pass
    assert caught.value.retry_after_s
    for holder in holders:
        await holder.end()
    async with leases.hold():
        assert leases.waiting == 0


async def test_nobody_may_wait() -> None:
    leases = Leases("m", places=1, max_waiting=0)
    first = Holder(leases)
    await first.holds.wait()
    with pytest.raises(ModelBusy):
        async with leases.hold():
            pass
    await first.end()
    async with leases.hold():
        pass


async def test_a_cancelled_waiter_leaves_the_queue() -> None:
    leases = Leases("m", places=1, max_waiting=1)
    first, second = Holder(leases), Holder(leases)
    await turns()
    assert leases.waiting == 1
    second.task.cancel()
    await asyncio.wait({second.task})
    assert leases.waiting == 0
    third = Holder(leases)
    await first.end()
    await third.holds.wait()
    await third.end()


async def test_a_cancelled_or_failed_holder_frees_its_place() -> None:
    leases = Leases("m", places=1, max_waiting=1)
    first, second = Holder(leases), Holder(leases)
    await first.holds.wait()
    first.task.cancel()
    await second.holds.wait()
    await second.end()
    with pytest.raises(RuntimeError, match="boom"):
        async with leases.hold():
            raise RuntimeError("boom")
    async with leases.hold():
        pass


@given(seed=st.integers(0, 10_000), places=st.integers(1, 4), max_waiting=st.integers(0, 5), calls=st.integers(1, 25))
def test_never_more_holders_than_places(seed: int, places: int, max_waiting: int, calls: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a reproducible order, no secret
    held = most = refused = 0
    leases = Leases("m", places=places, max_waiting=max_waiting)

    async def one() -> None:
        nonlocal held, most, refused
        try:
            async with leases.hold():
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
            assert leases.waiting <= max_waiting
            if chance.random() < 0.2:
                chance.choice(tasks).cancel()
        await asyncio.wait(tasks)
        assert leases.waiting == 0
        async with asyncio.timeout(5):
            await asyncio.gather(*(Holder(leases).end() for _ in range(places)))

    asyncio.run(everything())
    assert most <= places
    assert held == 0
    assert refused <= max(0, calls - places - max_waiting) or calls > places

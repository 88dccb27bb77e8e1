from __future__ import annotations

import asyncio

from backends.alarm import Alarm


class Bell:
    """Counts its rings and can be waited for."""

    def __init__(self) -> None:
        self.rings = 0
        self.rung = asyncio.Event()
        self.alarm = Alarm(self.ring)

    def ring(self) -> None:
        self.rings += 1
        self.rung.set()


async def test_it_rings_once_at_the_time_it_was_last_set_to() -> None:
    loop, bell = asyncio.get_running_loop(), Bell()
    began = loop.time()
    for seconds in (10, 0.005, 0.03):
        bell.alarm.set_in(seconds)
    await bell.rung.wait()
    assert loop.time() - began >= 0.03
    later = Bell()
    later.alarm.set_in(0.02)
    await later.rung.wait()
    assert bell.rings == 1


async def test_it_rings_again_once_it_is_set_again() -> None:
    bell = Bell()
    for _ in range(2):
        bell.rung.clear()
        bell.alarm.set_in(0.001)
        await bell.rung.wait()
    assert bell.rings == 2


async def test_closed_it_is_silent() -> None:
    closed, later = Bell(), Bell()
    closed.alarm.set_in(0.001)
    closed.alarm.close()
    later.alarm.set_in(0.02)
    await later.rung.wait()
    assert closed.rings == 0

"""The decision alone, over histories that hypothesis makes up: a clock, calls that come and end, models that switch."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from backends.residency import Footprint, Residency
from backends.schedule import Limits, Queue, next_turn

MODELS = "abc"
LOAD_S = 5.0
LINGER_S = 1.0
ARRIVALS = st.lists(st.tuples(st.floats(0, 200), st.sampled_from(MODELS), st.floats(0.1, 20)), min_size=1, max_size=40)
LIMITS = st.builds(
    Limits, st.integers(1, 2), st.integers(1, 3), max_waiting=st.just(99), switch_wait_s=st.floats(0.5, 60)
)
ROOM = st.integers(1, 3)


@dataclass
class Call:
    number: int
    model: str
    came_at: float
    lasts_s: float
    started_at: float = math.nan
    switched: bool = False


@dataclass
class Machine:
    """Plays calls through the scheduler, one event at a time, and keeps who ran when."""

    limits: Limits
    room: int
    now: float = 0.0
    waiting: dict[str, deque[Call]] = field(default_factory=lambda: {name: deque() for name in MODELS})
    running: list[tuple[float, Call]] = field(default_factory=list)
    kept_until: dict[str, float] = field(default_factory=lambda: dict.fromkeys(MODELS, -math.inf))
    idle_since: dict[str, float] = field(default_factory=lambda: dict.fromkeys(MODELS, -math.inf))
    started: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.residency = Residency({name: Footprint(1, 60) for name in MODELS}, self.room)

    def queues(self) -> dict[str, Queue]:
        return {
            name: Queue(
                self.waiting[name][0].came_at if self.waiting[name] else None,
                sum(call.model == name for _, call in self.running),
                self.kept_until[name],
                self.idle_since[name] + LINGER_S,
            )
            for name in MODELS
        }

    def play(self, arrivals: list[tuple[float, str, float]]) -> None:
        coming = deque(Call(number, name, at, s) for number, (at, name, s) in enumerate(sorted(arrivals)))
        look_again_at = math.inf
        while coming or self.running or any(self.waiting.values()):
            ends = min((end for end, _ in self.running), default=math.inf)
            self.now = max(self.now, min(ends, coming[0].came_at if coming else math.inf, look_again_at))
            assert self.now < math.inf, "calls wait, nothing runs, and no time is set to look again"
            ended = {call.model for end, call in self.running if end <= self.now}
            self.idle_since |= dict.fromkeys(ended, self.now)
            self.running = [each for each in self.running if each[0] > self.now]
            while coming and coming[0].came_at <= self.now:
                call = coming.popleft()
                self.waiting[call.model].append(call)
            look_again_at = self.start_what_may()
            assert look_again_at > self.now

    def start_what_may(self) -> float:
        while True:
            busy = frozenset(call.model for _, call in self.running)
            turn = next_turn(self.queues(), self.residency.loaded, self.residency.victims, self.limits, self.now)
            if turn.model is None:
                return turn.look_again_at
            assert not self.residency.victims(turn.model, busy) & busy, "a model is pushed out while it answers"
            call = self.waiting[turn.model].popleft()
            call.started_at, call.switched = self.now, turn.model not in self.residency.loaded
            if call.switched:
                self.kept_until[turn.model] = self.now + 2 * LOAD_S
            self.residency.begins(turn.model, busy)
            self.running.append((self.now + call.lasts_s + (LOAD_S if call.switched else 0), call))
            self.started.append(call)
            assert len({each.model for _, each in self.running}) <= min(self.limits.models_at_once, self.room)
            assert all(queue.running <= self.limits.calls_per_model for queue in self.queues().values())


@given(ARRIVALS, LIMITS, ROOM)
def test_every_call_starts_once_in_order_within_its_model_and_within_the_limits(
    arrivals: list[tuple[float, str, float]], limits: Limits, room: int
) -> None:
    machine = Machine(limits, room)
    machine.play(arrivals)
    assert sorted(call.number for call in machine.started) == list(range(len(arrivals)))
    for name in MODELS:
        numbers = [call.number for call in machine.started if call.model == name]
        assert numbers == sorted(numbers)


@given(ARRIVALS, LIMITS)
def test_nobody_starves(arrivals: list[tuple[float, str, float]], limits: Limits) -> None:
    """With room for one model: once a call is overdue, only those that came before it still get their models loaded.

    One that came later may have pushed out its model just then.
    """
    machine = Machine(limits, room=1)
    machine.play(arrivals)
    longest_turn_s = 2 * LOAD_S + max(seconds for _, _, seconds in arrivals) + LOAD_S
    for name in MODELS:
        head_since = 0.0
        for call in (each for each in machine.started if each.model == name):
            overdue_at = max(call.came_at + limits.switch_wait_s, head_since)
            switches = [
                each
                for each in machine.started
                if each.switched and each.model != name and overdue_at < each.started_at < call.started_at
            ]
            assert sum(each.came_at > call.came_at for each in switches) <= 1
            assert call.started_at <= overdue_at + (len(switches) + 1) * longest_turn_s + 1e-6
            head_since = call.started_at


@given(ARRIVALS, LIMITS)
def test_what_fits_together_waits_for_nothing_but_its_place(
    arrivals: list[tuple[float, str, float]], limits: Limits
) -> None:
    machine = Machine(Limits(limits.calls_per_model, len(MODELS), 99, limits.switch_wait_s), room=len(MODELS))
    machine.play(arrivals)
    for name in MODELS:
        places = [0.0] * limits.calls_per_model
        for call in (each for each in machine.started if each.model == name):
            free_at = min(places)
            assert call.started_at <= max(call.came_at, free_at) + 1e-6
            places[places.index(free_at)] = call.started_at + call.lasts_s + (LOAD_S if call.switched else 0)


def test_gathering_switches_less_often_than_coming_first() -> None:
    """Two conversations by turns, on models of which only one can be loaded."""
    arrivals = [(float(number), "ab"[number % 2], 2.0) for number in range(20)]
    machine = Machine(Limits(1, 3, 99, 60), room=1)
    machine.play(arrivals)
    assert sum(call.switched for call in machine.started) == 2


def test_an_idle_model_is_kept_for_a_moment_and_one_in_use_for_its_minimum_residence() -> None:
    """One conversation in a loop that sends its next call half a second after each answer, and one call beside it."""
    machine = Machine(Limits(1, 3, 99, 60), room=1)
    machine.play([(0.0, "a", 1.0), (0.5, "b", 1.0), (6.5, "a", 1.0), (8.0, "a", 1.0)])
    assert [call.model for call in machine.started] == ["a", "a", "a", "b"]
    assert machine.started[-1].started_at == 10.0
    alone = Machine(Limits(1, 3, 99, 60), room=1)
    alone.play([(0.0, "a", 1.0), (0.5, "b", 1.0)])
    assert alone.started[-1].started_at == 6.0 + LINGER_S

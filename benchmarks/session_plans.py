"""Days of work with a coding agent, from a seed: what is asked, tool loops, sub-agents, modes, growing prompts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from benchmarks.session_texts import FOLLOWING, OPENING, STARTING_WORK, SUB_AGENT_TASKS, TOOL_RESULTS
from benchmarks.simulated_machine import Prompt
from config.schema import ROLES, Mode, Role

# System prompt, tools and environment of a fresh task, and of a sub-agent, as captured from Cline.
TASK_TOKENS = (9_000, 12_000)
SUB_AGENT_TOKENS = (2_500, 3_500)
# A client with a 128k window compacts its history here, to a summary of so many tokens.
COMPACT_AT_TOKENS = 96_000
SUMMARY_TOKENS = 3_000
TURNS_OF_A_TASK = (3, 8)
LOOP_REQUESTS = (3, 15)
FOLLOW_UP_SHARE = 0.45
SUB_AGENT_SHARE = 0.12
PLAN_MODE_SHARE = 0.6

# What is asked after what, within a task: work goes on, questions come in between, plans are followed by work.
NEXT: Mapping[Role | None, tuple[float, float, float]] = {
    None: (0.35, 0.45, 0.20),
    "memory_fast": (0.35, 0.45, 0.20),
    "implementation": (0.20, 0.70, 0.10),
    "memory_analysis": (0.15, 0.50, 0.35),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One request of an agent.

    `task` is what the agent takes for one conversation, `prompt.conversation` what has a common prefix. `newest_text`
    is the last message's text, `person_text` the words that this is about. `true_role` is None where nobody labelled
    it; a sub-agent runs inside the tool loop of another task.
    """

    task: str
    prompt: Prompt
    newest_text: str
    person_text: str
    starts_turn: bool
    ends_turn: bool
    mode: Mode = "act"
    true_role: Role | None = None
    sub_agent: bool = False


@dataclass
class _Growing:
    """One task's history while it grows."""

    rng: random.Random
    task: str
    tokens: int
    kept: int = 0
    breaks: int = 0

    def prompt(self, answer_tokens: int) -> Prompt:
        if self.tokens > COMPACT_AT_TOKENS:
            self.tokens = TASK_TOKENS[0] + SUMMARY_TOKENS
            self.lose_prefix()
        prompt = Prompt(f"{self.task}.{self.breaks}", self.tokens, self.kept, answer_tokens)
        self.tokens += answer_tokens
        self.kept = self.tokens
        return prompt

    def read(self, tokens: int) -> None:
        self.tokens += tokens

    def lose_prefix(self) -> None:
        self.breaks += 1
        self.kept = 0


@dataclass
class _Day:
    """One session: several tasks, one after the other, until `turns` turns are asked."""

    rng: random.Random
    name: str
    turns: int
    unused: dict[Role, list[str]] = field(default_factory=dict)

    def steps(self) -> Iterator[Step]:
        left, tasks = self.turns, 0
        while left > 0:
            turns = min(left, self.rng.randint(*TURNS_OF_A_TASK))
            tasks += 1
            yield from self._task(f"{self.name}-task{tasks}", turns)
            left -= turns

    def _task(self, name: str, turns: int) -> Iterator[Step]:
        history = _Growing(self.rng, name, self.rng.randint(*TASK_TOKENS))
        before: Role | None = None
        mode_before: Mode | None = None
        for turn in range(turns):
            role = self.rng.choices(ROLES, NEXT[before])[0]
            mode: Mode = "plan" if role == "memory_analysis" and self.rng.random() < PLAN_MODE_SHARE else "act"
            if mode_before not in {None, mode}:
                history.lose_prefix()  # Cline 3 changes the system prompt with the mode.
            yield from self._turn(history, self._words(role, before), role, mode, f"{name}-{turn}")
            before, mode_before = role, mode

    def _words(self, role: Role, before: Role | None) -> str:
        if role == before and self.rng.random() < FOLLOW_UP_SHARE:
            return self.rng.choice(FOLLOWING[role])
        if (before, role) == ("memory_analysis", "implementation") and self.rng.random() < FOLLOW_UP_SHARE:
            return self.rng.choice(STARTING_WORK)
        if not self.unused.get(role):
            self.unused[role] = self.rng.sample(OPENING[role], len(OPENING[role]))
        return self.unused[role].pop()

    def _turn(self, history: _Growing, words: str, role: Role, mode: Mode, name: str) -> Iterator[Step]:
        loop = self.rng.randint(*LOOP_REQUESTS)
        sub_agents_at = self.rng.randint(1, loop) if self.rng.random() < SUB_AGENT_SHARE else None
        newest = words
        history.read(len(words) // 4 + 150)
        for request in range(loop + 1):
            prompt = history.prompt(_lognormal(self.rng, 180, 4_000))
            yield Step(history.task, prompt, newest, words, request == 0, request == loop, mode, role)
            if request == sub_agents_at:
                for number in range(self.rng.randint(1, 2)):
                    yield from self._sub_agent(f"{name}-sub{number}")
            newest = self.rng.choice(TOOL_RESULTS)
            history.read(_lognormal(self.rng, 700, 6_000))

    def _sub_agent(self, name: str) -> Iterator[Step]:
        history = _Growing(self.rng, name, self.rng.randint(*SUB_AGENT_TOKENS))
        words = newest = self.rng.choice(SUB_AGENT_TASKS)
        requests = self.rng.randint(3, 6)
        for request in range(requests):
            prompt = history.prompt(_lognormal(self.rng, 120, 1_000))
            yield Step(name, prompt, newest, words, request == 0, request == requests - 1, sub_agent=True)
            newest = self.rng.choice(TOOL_RESULTS)
            history.read(_lognormal(self.rng, 700, 6_000))


def plan_sessions(*, sessions: int, turns: int, seed: int) -> list[list[Step]]:
    """As many sessions, each of `turns` turns or up to half as many more."""
    rng = random.Random(seed)  # noqa: S311 - a repeatable day, not a secret
    days = [_Day(rng, f"day{number}", rng.randint(turns, turns + turns // 2)) for number in range(sessions)]
    return [list(day.steps()) for day in days]


def _lognormal(rng: random.Random, middle: int, most: int) -> int:
    return max(20, min(most, round(middle * rng.lognormvariate(0.0, 0.8))))

"""How long a person waits for first tokens over days of work, by how requests are routed.

    python -m benchmarks.sessions [--sessions N] [--turns N] [--seed N] [--requests DIR] [--embed]
        [--load-s JSON] [--prefill JSON] [--answer JSON] [--resident-models N]
        [--too-small-s S] [--needlessly-large-s S]

Replays generated sessions, and captured ones of `--requests`, against models with the reference machine's speeds on a
simulated clock. The JSON options set speeds by role: `--prefill '{"implementation": 500}'`. Policies:

- `keywords`, `classifier`: each request by its newest message, a person's or a tool's, as routers without memory do
- `lock`: the classifier at the first request of a person's turn, kept for its tool loop
- `ours`: the same, but a role is left only where `chains.seconds.choose` finds that the switch pays

Prints one JSON object; under each policy:

- `seconds_waited`: all seconds to first tokens, loads and prompts; `seconds_answering` are the tokens after them
- `cached_share`: of all prompt tokens, those that the model had in its cache
- `switches`: another model was loaded than the one that answered before; `switches_in_tool_loops`: a request of a tool
  loop was answered by another role than the one before it; `detours_of_sub_agents`: the loop's model had been evicted
  for a sub-agent and was loaded again; `forced_by_window`: the role's window had become too small for a loop
- `wrong_role`: share of the person's turns whose first request another role than the true one answered; its parts
  `too_small` and `needlessly_large`
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.captured_sessions import read_sessions
from benchmarks.session_plans import Step, plan_sessions
from benchmarks.session_policies import Classifies, Classifying, EmbeddedWords, Keywords, Limits, Lock, Ours, Policy
from benchmarks.simulated_machine import Machine
from chains.classifier import Classifier
from chains.seconds import NEEDLESSLY_LARGE_S, TOO_SMALL_S, Rates, Speed
from config.load import load_settings
from config.schema import ROLES, ModelsFile, Role
from retrievers.embeddings import LocalEmbedder


@dataclass
class Tally:
    """What one policy came to."""

    seconds_waited: float = 0.0
    seconds_answering: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    switches: int = 0
    switches_in_tool_loops: int = 0
    detours_of_sub_agents: int = 0
    forced_by_window: int = 0
    turns: int = 0
    too_small: int = 0
    needlessly_large: int = 0

    def as_figures(self) -> dict[str, float]:
        """Shares of the labelled turns instead of their counts, seconds in whole ones."""
        turns = max(1, self.turns)
        return {
            "seconds_waited": round(self.seconds_waited),
            "seconds_answering": round(self.seconds_answering),
            "cached_share": round(self.cached_tokens / max(1, self.prompt_tokens), 4),
            "switches": self.switches,
            "switches_in_tool_loops": self.switches_in_tool_loops,
            "detours_of_sub_agents": self.detours_of_sub_agents,
            "forced_by_window": self.forced_by_window,
            "wrong_role": round((self.too_small + self.needlessly_large) / turns, 4),
            "too_small": round(self.too_small / turns, 4),
            "needlessly_large": round(self.needlessly_large / turns, 4),
        }


def replay(
    sessions: Sequence[Sequence[Step]],
    policy: Policy,
    *,
    limits: Limits,
    speeds: Mapping[Role, Speed],
    resident_models: int = 1,
) -> Tally:
    """Answer every request of every session as `policy` routes it; each session begins with nothing loaded."""
    tally = Tally()
    for session in sessions:
        machine = Machine(speeds, resident_models)
        answered_by: dict[str, Role] = {}
        for step in session:
            wanted = policy.route(step, machine)
            role = limits.fitting(wanted, step.prompt.tokens)
            before, loop = answered_by.get(step.task), not step.starts_turn
            forced = loop and role != wanted
            took = machine.answer(role, step.prompt)
            policy.answered(step, role, took)
            answered_by[step.task] = role
            tally.seconds_waited += took.waited_s
            tally.seconds_answering += took.answer_s
            tally.prompt_tokens += step.prompt.tokens
            tally.cached_tokens += took.cached_tokens
            tally.switches += took.evicted
            if loop and before is not None:
                tally.forced_by_window += forced and role != before
                tally.switches_in_tool_loops += role != before and not forced
                tally.detours_of_sub_agents += role == before and took.evicted
            if step.starts_turn and step.true_role is not None:
                true = limits.fitting(step.true_role, step.prompt.tokens)
                tally.turns += 1
                tally.too_small += ROLES.index(role) < ROLES.index(true)
                tally.needlessly_large += ROLES.index(role) > ROLES.index(true)
    return tally


def configured_speeds(models: ModelsFile) -> dict[Role, Speed]:
    """The speeds in `models.yaml`, those of the reference machine."""
    return {
        role: Speed(settings.load_s, settings.prefill_tokens_per_s, settings.answer_tokens_per_s)
        for role, settings in models.roles.items()
    }


def compare(
    sessions: Sequence[Sequence[Step]],
    classifier: Classifies,
    models: ModelsFile,
    *,
    speeds: Mapping[Role, Speed] | None = None,
    resident_models: int = 1,
    too_small_s: float = TOO_SMALL_S,
    needlessly_large_s: float = NEEDLESSLY_LARGE_S,
) -> dict[str, Any]:
    """The figures of each policy, with what they were computed from.

    `speeds` are the machine's true ones, by default those of `models.yaml`, which is what `ours` starts from.
    """
    limits, known = Limits.of(models), configured_speeds(models)
    speeds = speeds or known
    policies: dict[str, Policy] = {
        "keywords": Keywords(),
        "classifier": Classifying(classifier),
        "lock": Lock(classifier),
        "ours": Ours(
            classifier,
            limits=limits,
            rates=Rates(known),
            too_small_s=too_small_s,
            needlessly_large_s=needlessly_large_s,
        ),
    }
    figures = {
        name: replay(sessions, policy, limits=limits, speeds=speeds, resident_models=resident_models).as_figures()
        for name, policy in policies.items()
    }
    return {
        "policies": figures,
        "sessions": len(sessions),
        "requests": sum(len(session) for session in sessions),
        "labelled_turns": sum(step.starts_turn and step.true_role is not None for day in sessions for step in day),
        "resident_models": resident_models,
        "too_small_s": too_small_s,
        "needlessly_large_s": needlessly_large_s,
        "rates": {role: asdict(speed) for role, speed in speeds.items()},
    }


def main() -> None:
    """Replay and print."""
    parser = argparse.ArgumentParser(description="Seconds waited over whole sessions, by routing policy.")
    parser.add_argument("--sessions", type=int, default=40)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests", type=Path)
    parser.add_argument("--embed", action="store_true")
    parser.add_argument("--load-s", type=json.loads, default={})
    parser.add_argument("--prefill", type=json.loads, default={})
    parser.add_argument("--answer", type=json.loads, default={})
    parser.add_argument("--resident-models", type=int, default=1)
    parser.add_argument("--too-small-s", type=float, default=TOO_SMALL_S)
    parser.add_argument("--needlessly-large-s", type=float, default=NEEDLESSLY_LARGE_S)
    asked = parser.parse_args()
    given = {"load_s": asked.load_s, "prefill_tokens_per_s": asked.prefill, "answer_tokens_per_s": asked.answer}
    models = load_settings(environment={}).models
    speeds = {
        role: replace(speed, **{name: float(by_role[role]) for name, by_role in given.items() if role in by_role})
        for role, speed in configured_speeds(models).items()
    }
    sessions = plan_sessions(sessions=asked.sessions, turns=asked.turns, seed=asked.seed)
    if asked.requests is not None:
        sessions += read_sessions(asked.requests)
    classifier = Classifier.load()
    figures = compare(
        sessions,
        EmbeddedWords(classifier, LocalEmbedder()) if asked.embed else classifier,
        models,
        speeds=speeds,
        resident_models=asked.resident_models,
        too_small_s=asked.too_small_s,
        needlessly_large_s=asked.needlessly_large_s,
    )
    print(json.dumps({"seed": asked.seed, "embedded": asked.embed, **figures}, indent=1))


if __name__ == "__main__":
    main()

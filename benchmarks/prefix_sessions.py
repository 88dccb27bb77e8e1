"""Sessions of a coding agent as the requests it sends: generated in both of Cline's dialects, and captured ones."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

Json = dict[str, Any]

TOOLS: list[Json] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {"type": "object", "properties": {key: {"type": "string"}}, "required": [key]},
        },
    }
    for name, description, key in (
        ("read_files", "Read a file.", "path"),
        ("editor", "Write a file.", "path"),
        ("run_commands", "Run a command.", "command"),
    )
]
SDK_SYSTEM = (
    "You are Cline, an AI coding agent. Help with the code of this project.\n\n<env>\n1. Platform: linux\n"
    "4. Working Directory: /home/sam/brewery\n</env>\n\nUse the tools, keep to the style you find, test what you wrote."
)
LEGACY_SYSTEM = (
    "You are Cline, a skilled software engineer.\n\nTOOL USE\n\n# Tools\n\n## read_file\n<read_file>\n"
    "<path>path here</path>\n</read_file>\n\n## execute_command\n<execute_command>\n<command>command here</command>\n"
    "</execute_command>\n\nCurrent Working Directory: /home/sam/brewery\n\nUse one tool in each message."
)
ASKED = (
    "where did we leave off with the kettle?",
    "fix the timer of the mash step",
    "which sensors are still missing?",
    "write a test for the cooling loop",
    "why does the valve open twice?",
    "rename the hop schedule and its callers",
    "what did we decide about the yeast log?",
    "the pump test is red, have a look",
)
SAID = ("I look at it.", "Now the edit.", "One moment, the tests first.", "Let me read that file.")
ENDED = ("Done, the tests pass.", "It was the second timer; removed.", "Three are open: kettle, mash and cooling.")
FILES = ("brewery/kettle.py", "brewery/mash.py", "brewery/cooling.py", "tests/test_pump.py")
RESULTS = (
    "def heat(kettle, celsius):\n    kettle.target = celsius",
    "4 passed, 1 failed: assert 66.0 == 67.0",
    "steps = [(52, 10), (64, 40)]",
    " M brewery/mash.py",
)
# A captured request larger than this does not fit the embedded model's window beside memory: some 7,000 tokens.
LARGEST_CHARS = 34_000
# A person speaks, then the agent works for so many requests.
LOOP_REQUESTS = (2, 5)

BANK: Mapping[str, str] = {
    "projectbrief.md": "# Brief\n\nControls a small brewery: kettle, mash tun, cooling loop and pumps.\n",
    "activeContext.md": "# Active context\n\nThe kettle heats too long: the timer of the mash step starts twice.\n",
    "systemPatterns.md": (
        "# Patterns\n\n## Devices\n\nEach device is a class with on, off and a target; nothing else reads sensors.\n\n"
        "## Valves\n\nA valve opens once for each step, and closes before the pump stops.\n"
    ),
    "techContext.md": "# Tech\n\n## Tests\n\nPytest with a fake clock; the pump test needs the slow marker.\n",
    "progress.md": (
        "# Progress\n\n## Done\n\nMash steps, hop schedule, yeast log as a table with a row each day.\n\n"
        "## Open\n\nSensors of the kettle and the cooling loop, an alarm by mail.\n"
    ),
}
EDITS = (
    ("activeContext.md", "# Active context\n\nThe mash timer is mended; next comes the cooling loop, with a test.\n"),
    (
        "progress.md",
        BANK["progress.md"] + "\n## Next\n\nThe alarm goes to the brewer's telephone, and only once an hour.\n",
    ),
)


@dataclass(frozen=True, slots=True)
class Session:
    """The bodies of one conversation's requests; before request `k` the bank's file `edits[k]` is written anew."""

    name: str
    requests: tuple[Json, ...]
    edits: Mapping[int, tuple[str, str]] = field(default_factory=dict)


def generated(requests: int, *, seed: int, legacy: bool) -> Session:
    """A conversation of so many requests; the agent's bank changes twice while it works."""
    rng = random.Random(seed)  # noqa: S311 - a repeatable session, not a secret
    steps = list(_legacy_steps(rng, requests) if legacy else _sdk_steps(rng, requests))
    places = [index for index in range(requests) if index][requests // 3 :: max(1, requests // 2)]
    return Session(f"{'legacy' if legacy else 'sdk'}-{requests}", tuple(steps), dict(zip(places, EDITS, strict=False)))


def _sdk_steps(rng: random.Random, requests: int) -> Iterator[Json]:
    messages: list[Json] = [{"role": "system", "content": SDK_SYSTEM}]
    left = 0
    for number in range(requests):
        if left == 0:
            if number:
                messages.append({"role": "assistant", "content": rng.choice(ENDED)})
            messages.append({"role": "user", "content": rng.choice(ASKED)})
            left = rng.randint(*LOOP_REQUESTS)
        else:
            call = {"name": "read_files", "arguments": json.dumps({"path": rng.choice(FILES)})}
            made = {"id": f"c{number}", "type": "function", "function": call}
            messages.append({"role": "assistant", "content": rng.choice(SAID), "tool_calls": [made]})
            result = json.dumps([{"result": rng.choice(RESULTS), "success": True}])
            messages.append({"role": "tool", "tool_call_id": made["id"], "content": result})
        left -= 1
        yield {"model": "cline-memory-router", "messages": [*messages], "tools": TOOLS, "tool_choice": "auto"}


def _legacy_steps(rng: random.Random, requests: int) -> Iterator[Json]:
    messages: list[Json] = [{"role": "system", "content": LEGACY_SYSTEM}]
    left = 0
    for number in range(requests):
        details = (
            f"<environment_details>\n# Current Time\n9:{number:02} AM\n# Current Mode\nACT MODE\n</environment_details>"
        )
        if left == 0:
            if number:
                ended = f"<attempt_completion>\n<result>{rng.choice(ENDED)}</result>\n</attempt_completion>"
                messages.append({"role": "assistant", "content": ended})
            tag = "feedback" if number else "task"
            words = f"<{tag}>\n{rng.choice(ASKED)}\n</{tag}>"
            left = rng.randint(*LOOP_REQUESTS)
        else:
            file = rng.choice(FILES)
            asked = f"{rng.choice(SAID)}\n\n<read_file>\n<path>{file}</path>\n</read_file>"
            messages.append({"role": "assistant", "content": asked})
            words = f"[read_file for '{file}'] Result:\n{rng.choice(RESULTS)}"
        left -= 1
        parts = [{"type": "text", "text": words}, {"type": "text", "text": details}]
        messages.append({"role": "user", "content": parts})
        yield {"model": "cline-memory-router", "messages": [*messages]}


def captured(folder: Path, most: int) -> list[Session]:
    """The longest conversations among a real client's requests: `NAME_001.json`, …, each `{"headers", "body"}`."""
    named: dict[str, list[Json]] = defaultdict(list)
    for path in sorted(folder.glob("*_[0-9]*.json")):
        named[path.stem.rpartition("_")[0]].append(json.loads(path.read_text(encoding="utf-8"))["body"])
    sessions = [
        Session(name, tuple(bodies))
        for name, bodies in named.items()
        if _is_one_conversation(bodies) and len(json.dumps(bodies[-1])) <= LARGEST_CHARS
    ]
    return sorted(sessions, key=lambda session: -len(session.requests))[:most]


def _is_one_conversation(bodies: list[Json]) -> bool:
    histories = [body["messages"] for body in bodies]
    grows = all(later[: len(earlier)] == earlier for earlier, later in pairwise(histories))
    return len(bodies) > 1 and grows and not any("image_url" in json.dumps(body) for body in bodies)


def write_bank(workspace: Path) -> None:
    """The memory bank as it is when a session begins."""
    folder = workspace / "memory-bank"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in BANK.items():
        (folder / name).write_text(text, encoding="utf-8")

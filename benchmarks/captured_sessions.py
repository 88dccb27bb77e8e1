"""Requests that a real client sent, as sessions: files of one name, numbered, each `{"headers", "body"}`."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from benchmarks.session_plans import Step
from benchmarks.simulated_machine import Prompt
from chains.conversation import fingerprints
from chains.counting import TokenCounts
from chains.ledger import measure
from wire.openai_request import ChatRequest
from wire.parse import parse_turn

ANSWER_TOKENS = 180
LARGEST_WINDOW_TOKENS = 1_048_576


def read_sessions(folder: Path) -> list[list[Step]]:
    """One session for each `NAME_001.json`, `NAME_002.json`, ... of the folder, in the order of the numbers."""
    named: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.glob("*_[0-9]*.json")):
        named[path.stem.rpartition("_")[0]].append(path)
    return [_session(name, paths) for name, paths in named.items()]


def _session(name: str, paths: list[Path]) -> list[Step]:
    steps: list[Step] = []
    seen: dict[str, str] = {}
    counts = TokenCounts()
    for path in paths:
        captured = json.loads(path.read_text(encoding="utf-8"))
        turn = parse_turn(ChatRequest.model_validate(captured["body"]), captured["headers"]).turn
        chain = fingerprints(turn.messages)
        known = next((index for index in reversed(range(len(chain))) if chain[index] in seen), -1)
        # The system prompt alone makes no conversation.
        task = seen[chain[known]] if known > 0 else f"{name}-{path.stem}"
        seen |= dict.fromkeys(chain, task)
        measured = measure(turn, counts, largest_window=LARGEST_WINDOW_TOKENS)
        parts = measured.parts
        kept = parts.tools + sum(tokens for _, tokens in measured.messages[: known + 1])
        newest = turn.messages[-1].text
        prompt = Prompt(task, parts.total, kept if known >= 0 else 0, ANSWER_TOKENS)
        # Whether the answer ended the turn is not captured: no loop is taken to be open, which spares nobody a switch.
        steps.append(
            Step(task, prompt, newest, turn.person_text, not turn.from_machine, ends_turn=True, mode=turn.mode)
        )
    return steps

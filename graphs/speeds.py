"""Keeps what was learned of the models, their speed and how they count: in memory at once, in a file now and then."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from chains.correction import Corrections, Sent, Verdict
from chains.events import Finished, Usage
from chains.seconds import Rates, Speed
from config.schema import Role

SPEEDS_FILE = "speeds.json"
SAVE_EVERY_S = 60.0

log = structlog.get_logger(__name__)


class Speeds:
    """The rates of the roles' models, and the file they outlast a restart in; None keeps them in memory only.

    What was measured holds for the models it was measured on: where a role has another one now, it starts anew.
    """

    def __init__(self, start: Mapping[Role, Speed], models: Mapping[Role, str], file: Path | None = None) -> None:
        self._start = dict(start)
        self._models = dict(models)
        self._file = file
        self._saved_at = time.monotonic()
        self._changed = False
        self.rates = Rates(start)
        self.counting = Corrections()

    async def load(self) -> None:
        """Read the file; without a sound one everything stays at its start."""
        if self._file is None:
            return
        try:
            kept = json.loads(await asyncio.to_thread(self._file.read_text, encoding="utf-8"))
            models, speeds = kept["models"], kept["speeds"]
            record: dict[str, Any] = {
                role: speeds[role] for role in self._start if models.get(role) == self._models[role]
            }
            counting = Corrections.from_record(kept.get("counting"))
        except FileNotFoundError:
            return
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            log.warning("measured speeds cannot be read", error=type(error).__name__)
            return
        self.rates = Rates.from_record(self._start, record)
        self.counting = counting

    def prefill_s(self, role: Role, model: str, prompt_tokens: int) -> float | None:
        """How long a model should take to read a prompt of which it holds nothing; None for another than the role's."""
        if model != self._models[role]:
            return None
        return self.rates.expected(role, resident=True, prompt_tokens=prompt_tokens).prefill_s

    def answer_s(self, role: Role, answer_tokens: int) -> float:
        """How long a model should take to write so much, by the rate of its role, whichever model stands there."""
        return answer_tokens / self.rates.speed(role).answer_tokens_per_s

    def learn(self, role: Role, model: str, finished: Finished) -> None:
        """Take in what one answer's durations tell; another model than the role's own tells nothing of it."""
        usage, timings = finished.usage, finished.timings
        if timings is None or model != self._models[role]:
            return
        self.rates.learn(
            role,
            load_s=timings.load_s,
            prompt_tokens=usage.prompt_tokens if usage else None,
            prefill_s=timings.prefill_s,
            cached_tokens=(usage.cached_tokens or 0) if usage else 0,
        )
        self._changed = True

    def learn_counting(self, model: str, sent: Sent, usage: Usage | None) -> Verdict:
        """Take in what a model's own count says of a prompt; see `chains.correction`."""
        if usage is None:
            return "unknown"
        self._changed = True
        verdict = self.counting.learn(model, sent, usage.prompt_tokens, usage.cached_tokens)
        if verdict == "cut":
            log.error(
                "the model's server read only a part of the prompt",
                model=model,
                sent_tokens=sent.tokens,
                counted_tokens=usage.prompt_tokens,
                to_do="update Ollama, which then refuses such prompts, or lower window_tokens in models.yaml",
            )
        return verdict

    async def save(self, *, now: bool = False) -> None:
        """Write the file where there is something new, at most once a minute unless `now`."""
        if self._file is None or not self._changed or (not now and time.monotonic() - self._saved_at < SAVE_EVERY_S):
            return
        self._saved_at, self._changed = time.monotonic(), False
        text = json.dumps(
            {"models": self._models, "speeds": self.rates.as_record(), "counting": self.counting.as_record()}, indent=1
        )
        try:
            await asyncio.to_thread(_write, self._file, text)
        except OSError as error:
            log.warning("measured speeds cannot be kept", error=type(error).__name__)


def _write(file: Path, text: str) -> None:
    """Whole or not at all, also where two services write."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    beside.write_text(text, encoding="utf-8")
    beside.replace(file)

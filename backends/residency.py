"""Which models are taken to be loaded, and which of them loading another one would push out.

Whether two models stay loaded side by side is for the server to decide: Ollama with a graphics card keeps a second one
only if it fits the card beside the first (its `server/sched.go`). So the plan in `models.yaml` counts until the server
has shown what it does, and then what was seen counts. Like Ollama's, the order of eviction is: idle models first, of
those the one with the shortest `keep_alive`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from backends.types import LoadedModel

UNIT_S = {"s": 1, "m": 60, "h": 3600}
# The longest time in which neither is listed: the one that was pushed out, and the one for which it was.
LOADING = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one model takes when it is loaded, and how long the server is asked to keep it after a call."""

    needs_gb: float
    keep_alive_s: float


def keep_alive_seconds(text: str) -> float:
    """Of a configured `keep_alive` such as `30m`; `-1` is for ever."""
    if text == "-1":
        return math.inf
    parts = re.fullmatch(r"(\d+)([smh]?)", text)
    assert parts is not None  # noqa: S101 - the settings allow nothing else
    return int(parts[1]) * UNIT_S.get(parts[2], 1)


class Residency:
    """What is believed between two looks at the server, and what was learned of models side by side."""

    def __init__(self, footprints: Mapping[str, Footprint], available_gb: float) -> None:
        self._footprints = footprints
        self._available_gb = available_gb
        self._loaded: frozenset[str] = frozenset()
        self._coming: set[str] = set()
        self._leaving: dict[str, str] = {}
        self._last_seen: Mapping[str, LoadedModel] = {}
        self._gone: dict[str, datetime] = {}
        self._side_by_side: dict[frozenset[str], bool] = {}

    @property
    def loaded(self) -> frozenset[str]:
        """The names of the models that a call would find loaded."""
        return self._loaded

    def begins(self, model: str, busy: Collection[str] = ()) -> None:
        """A call makes the server load `model`, if it is not, at the cost of its victims.

        Until `ends`, a look may come too early to show that.
        """
        victims = self.victims(model, busy)
        self._coming.add(model)
        self._leaving.pop(model, None)
        self._leaving |= dict.fromkeys(victims, model)
        self._loaded = (self._loaded - victims) | {model}

    def ends(self, model: str) -> None:
        """No call for `model` runs any longer: the next look tells what became of it."""
        self._coming.discard(model)
        self._leaving = {victim: cause for victim, cause in self._leaving.items() if cause != model}

    def saw(self, loaded: Mapping[str, LoadedModel], ready: Collection[str], now: datetime) -> None:
        """Take in what the server tells; `ready` are those of `loaded` that a call need not load anew.

        Learns from a model that went before its time as another one came.
        """
        seen = frozenset(loaded)
        too_early = [
            name for name, model in self._last_seen.items() if model.expires_at is None or model.expires_at > now
        ]
        gone = dict.fromkeys(too_early, now) | self._gone
        self._gone = {name: at for name, at in gone.items() if name not in seen and now - at < LOADING}
        came = seen - self._last_seen.keys()
        self._side_by_side |= {frozenset({old, new}): False for old in self._gone for new in came}
        self._side_by_side |= {frozenset({one, other}): True for one in seen for other in seen if one != other}
        self._coming -= seen
        self._leaving = {name: cause for name, cause in self._leaving.items() if name in seen and cause not in seen}
        self._last_seen, self._loaded = dict(loaded), frozenset(ready) - self._leaving.keys() | self._coming

    def victims(self, model: str, busy: Collection[str] = (), among: frozenset[str] | None = None) -> frozenset[str]:
        """Which of the loaded models (or of `among`) loading `model` would push out; `busy` ones go last."""
        loaded = self._loaded if among is None else among
        if model in loaded:
            return frozenset()
        seen = {name: self._side_by_side.get(frozenset({name, model})) for name in loaded}
        victims = {name for name in loaded if seen[name] is False}
        unproven = sorted(
            (name for name in loaded if seen[name] is None),
            key=lambda name: (name in busy, self._footprint(name).keep_alive_s, name),
        )
        while unproven and self._needed_gb(loaded - victims | {model}) > self._available_gb:
            victims.add(unproven.pop(0))
        return frozenset(victims)

    def _footprint(self, model: str) -> Footprint:
        return self._footprints.get(model, Footprint(0, 0))

    def _needed_gb(self, models: Collection[str]) -> float:
        return sum(self._footprint(model).needs_gb for model in models)

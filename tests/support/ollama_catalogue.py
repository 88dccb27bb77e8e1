"""The models a scripted Ollama has and holds loaded, in the shapes of `/api/tags`, `/api/ps`, `/api/show`."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.ollama_replies import CREATED_AT, JsonObject

DEFAULT_NUM_CTX = 4096
LOAD_NS = 2_000_000_000
RESIDENT_NS = 20_000_000
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_FOREVER = "2318-01-01T00:00:00Z"


@dataclass(frozen=True)
class Model:
    """One installed model; the layer and head counts are what a memory estimate reads from `/api/show`."""

    name: str
    window: int = 8192
    capabilities: tuple[str, ...] = ("completion", "tools")
    architecture: str = "llama"
    size_bytes: int = 1_000_000_000
    vram_bytes: int | None = None
    layers: int = 32
    heads: int = 32
    kv_heads: int = 8
    head_size: int = 128
    parameter_size: str = "8.0B"
    quantization: str = "Q4_K_M"
    template: str = "{{ .System }}{{ range .Messages }}{{ .Content }}{{ end }}{{ if .Tools }}{{ .Tools }}{{ end }}"

    @property
    def full_name(self) -> str:
        return with_tag(self.name)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.full_name.encode()).hexdigest()

    def details(self) -> JsonObject:
        return {
            "parent_model": "",
            "format": "gguf",
            "family": self.architecture,
            "families": [self.architecture],
            "parameter_size": self.parameter_size,
            "quantization_level": self.quantization,
        }

    def tag(self) -> JsonObject:
        name = self.full_name
        return {
            "name": name,
            "model": name,
            "modified_at": CREATED_AT,
            "size": self.size_bytes,
            "digest": self.digest,
            "details": self.details(),
        }

    def show(self) -> JsonObject:
        arch = self.architecture
        return {
            "license": "",
            "modelfile": f"FROM {self.full_name}",
            "parameters": 'stop "<|end|>"',
            "template": self.template,
            "details": self.details(),
            "model_info": {
                "general.architecture": arch,
                "general.parameter_count": self.size_bytes * 2,
                f"{arch}.block_count": self.layers,
                f"{arch}.context_length": self.window,
                f"{arch}.embedding_length": self.heads * self.head_size,
                f"{arch}.attention.head_count": self.heads,
                f"{arch}.attention.head_count_kv": self.kv_heads,
                f"{arch}.attention.key_length": self.head_size,
                f"{arch}.attention.value_length": self.head_size,
            },
            "capabilities": list(self.capabilities),
            "modified_at": CREATED_AT,
        }


REFERENCE_MODELS = (
    Model(
        "qwen3:30b-a3b", 40_960, ("completion", "tools", "thinking"), "qwen3moe", 18_600_000_000,
        layers=48, heads=32, kv_heads=4, parameter_size="30.5B",
    ),
    Model(
        "qwen2.5-coder:32b", 131_072, ("completion", "tools", "insert"), "qwen2", 19_900_000_000,
        layers=64, heads=40, kv_heads=8, parameter_size="32.8B",
    ),
    Model(
        "llama4:16x17b", 1_048_576, ("completion", "tools", "vision"), "llama4", 67_400_000_000,
        layers=48, heads=40, kv_heads=8, parameter_size="108.6B",
    ),
)  # fmt: skip


@dataclass
class Residency:
    """Which models are loaded and with which window; `loads` tells every load and needless reload.

    With `room` for so many models, loading one more unloads the one with the shortest `keep_alive`. `most_ctx` is the
    largest window that this server gives, whatever is asked for.
    """

    loads: list[tuple[str, int]] = field(default_factory=list)
    most_ctx: int | None = None
    room: int | None = None
    _entries: dict[str, JsonObject] = field(default_factory=dict)
    _keep_alive_s: dict[str, float] = field(default_factory=dict)

    def load(self, model: Model, *, num_ctx: int = DEFAULT_NUM_CTX, keep_alive: Any = "5m") -> int:
        """Load, or keep, the model; returns the `load_duration` in nanoseconds."""
        name = model.full_name
        num_ctx = min(num_ctx, self.most_ctx or num_ctx)
        held = self._entries.get(name)
        fresh = held is None or held["context_length"] != num_ctx
        if fresh:
            self.loads.append((name, num_ctx))
            self._make_room(name)
        entry = model.tag()
        del entry["modified_at"]
        entry["expires_at"] = _expires_at(keep_alive)
        entry["size_vram"] = model.size_bytes if model.vram_bytes is None else model.vram_bytes
        entry["context_length"] = num_ctx
        self._entries[name] = entry
        seconds = keep_alive_seconds(keep_alive)
        self._keep_alive_s[name] = seconds if seconds >= 0 else math.inf
        return LOAD_NS if fresh else RESIDENT_NS

    def unload(self, model: Model) -> None:
        self._entries.pop(model.full_name, None)

    def _make_room(self, name: str) -> None:
        while self.room is not None and len(self._entries.keys() - {name}) >= self.room:
            others = self._entries.keys() - {name}
            del self._entries[min(others, key=lambda other: (self._keep_alive_s[other], other))]

    def ps(self) -> JsonObject:
        return {"models": list(self._entries.values())}


def with_tag(name: str) -> str:
    return name if ":" in name else f"{name}:latest"


def keep_alive_seconds(keep_alive: Any) -> float:
    """Seconds of Ollama's `keep_alive`, a number or a Go duration; negative is forever."""
    if isinstance(keep_alive, int | float):
        return float(keep_alive)
    sign = -1 if str(keep_alive).startswith("-") else 1
    parts = re.findall(r"([\d.]+)(ms|[smh]?)", str(keep_alive))
    return sign * sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def _expires_at(keep_alive: Any) -> str:
    seconds = keep_alive_seconds(keep_alive)
    if seconds < 0:
        return _FOREVER
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")

"""How much memory the models take, from what they are: their weights, and a cache that grows with the window."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backends.types import ModelCard
from config.schema import CacheType, ModelsFile, RoleSettings

GB = 1_000_000_000
# llama.cpp's blocks of 32 values: one 16-bit scale, and 8 or 4 bits for each value.
BYTES_PER_VALUE: Mapping[CacheType, float] = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}


@dataclass(frozen=True, slots=True)
class ModelNeed:
    """What one model takes when it is loaded, in GB: at most, as some keep less than the whole window of some layers.

    `cached_values` is None where the server does not tell what it follows from; then `weights_gb` is all of it, as
    `memory_gb` in `models.yaml` has it.
    """

    model: str
    weights_gb: float
    cached_values: int | None

    def cache_gb(self, cache_type: CacheType) -> float:
        """Its cache for a whole window."""
        return (self.cached_values or 0) * BYTES_PER_VALUE[cache_type] / GB

    def total_gb(self, cache_type: CacheType) -> float:
        """Weights and cache."""
        return self.weights_gb + self.cache_gb(cache_type)


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """All the models at once, against what the machine has left for them; in GB."""

    needs: tuple[ModelNeed, ...]
    ram_gb: float
    vram_gb: float
    cache_type: CacheType

    @property
    def available_gb(self) -> float:
        """Main memory and the graphics card's."""
        return self.ram_gb + self.vram_gb

    def total_gb(self, cache_type: CacheType | None = None) -> float:
        """What all of them take, with the configured cache or another one."""
        return sum(need.total_gb(cache_type or self.cache_type) for need in self.needs)

    def fits(self, models: Collection[str] | None = None) -> bool:
        """Whether all of them, or only `models`, can be loaded together."""
        needs = [need for need in self.needs if models is None or need.model in models]
        return sum(need.total_gb(self.cache_type) for need in needs) <= self.available_gb

    def figures(self) -> str:
        """Each model's weights and cache."""
        return ", ".join(
            f"{need.model} {need.weights_gb:.0f} + {need.cache_gb(self.cache_type):.0f}" for need in self.needs
        )

    def problem(self) -> str | None:
        """The plan that cannot be, in figures, and what would mend it; None where it fits."""
        if self.fits():
            return None
        return (
            f"With their windows full, the models take {self.total_gb():.0f} GB (weights + {self.cache_type} cache: "
            f"{self.figures()}), and {self.available_gb:.0f} GB are there for them ({self.ram_gb:g} of RAM, "
            f"{self.vram_gb:g} of VRAM), so that Ollama unloads one to load another: {self.fix()}."
        )

    def fix(self) -> str:
        """What would make it fit."""
        smaller = [each for each, size in BYTES_PER_VALUE.items() if size < BYTES_PER_VALUE[self.cache_type]]
        for cache_type in smaller:
            if (total := self.total_gb(cache_type)) <= self.available_gb:
                return (
                    f"start Ollama with OLLAMA_FLASH_ATTENTION=1 and OLLAMA_KV_CACHE_TYPE={cache_type}, and set "
                    f"machine.kv_cache_type to it ({total:.0f} GB)"
                )
        largest = max(self.needs, key=lambda need: need.cache_gb(self.cache_type))
        quantised = f" (with a q8_0 cache it is still {self.total_gb('q8_0'):.0f} GB)"
        return (
            f"lower used_window_tokens, first that of {largest.model}, or take smaller models"
            f"{quantised if self.cache_type == 'f16' else ''}"
        )


def plan_memory(cards: Iterable[ModelCard], models: ModelsFile) -> MemoryPlan:
    """The plan for the models that are there, each counted once; by `memory_gb` where the server does not tell."""
    needs = {card.name: need_of(card, models.roles[card.role]) for card in cards}
    machine = models.machine
    return MemoryPlan(tuple(needs.values()), models.available_gb, machine.vram_gb, machine.kv_cache_type)


def need_of(card: ModelCard, settings: RoleSettings) -> ModelNeed:
    """One model's need."""
    if card.weights_bytes is None or card.cached_values_per_token is None:
        return ModelNeed(card.name, settings.memory_gb, None)
    return ModelNeed(card.name, card.weights_bytes / GB, card.cached_values_per_token * card.window_tokens)


def cached_values_per_token(info: Mapping[str, Any]) -> int | None:
    """How many numbers the cache holds for one token, keys and values of all layers, from `model_info` of `/api/show`.

    None where a count is missing. Ollama leaves long lists empty; a model with other heads in every layer is one that
    is not told.
    """
    architecture = info.get("general.architecture")

    def number(key: str) -> int:
        value = info.get(f"{architecture}.{key}")
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0

    heads = number("attention.head_count")
    size = number("embedding_length") // heads if heads else 0
    keys, values = number("attention.key_length") or size, number("attention.value_length") or size
    cached_heads = info.get(f"{architecture}.attention.head_count_kv", heads)
    if isinstance(cached_heads, list):
        layers = [each for each in cached_heads if isinstance(each, int)]
        all_heads = sum(layers)
    else:
        all_heads = number("block_count") * (cached_heads if isinstance(cached_heads, int) else 0)
    return all_heads * (keys + values) or None

"""What models.yaml holds, and the kinds of values that settings are made of. How the service runs: `config.settings`.

The sentence below a key is what docs/configuration.md says of it: `make docs` writes it there.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from config.patterns import why_hostile

Role = Literal["memory_fast", "implementation", "memory_analysis"]
Mode = Literal["plan", "act", "yolo", "none"]
CacheType = Literal["f16", "q8_0", "q4_0"]

MODES: tuple[Mode, ...] = ("plan", "act", "yolo", "none")
ROLES: tuple[Role, ...] = ("memory_fast", "implementation", "memory_analysis")

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Rate = Annotated[float, Field(gt=0, le=1_000_000)]
Gigabytes = Annotated[float, Field(ge=0, le=4096)]
Tokens = Annotated[int, Field(ge=256, le=10_485_760)]
KEEP_ALIVE = r"^(-1|0|\d+(s|m|h))$"
NO_SPACES = r"^\S+$"


class Frozen(BaseModel):
    """A section of settings: nothing in it can be changed, and nothing unknown stands in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RoleSettings(Frozen):
    """One role's model and how it is called; the same option set for every call, as Ollama reloads on a change."""

    model: str = Field(min_length=1, max_length=200, pattern=NO_SPACES)
    """the model's name in Ollama"""
    job: str = Field(min_length=1, max_length=300)
    """what it is for, shown to people"""
    window_tokens: Tokens
    """the model's context window"""
    used_window_tokens: Tokens | None = None
    """how much of it is loaded, if not all (`num_ctx`); at most `window_tokens`"""
    temperature: float = Field(ge=0, le=2)
    """where the client sends none"""
    answer_limit_tokens: int = Field(ge=16, le=1_048_576)
    """longest answer where the client sets no limit; less than the used window"""
    keep_alive: str = Field(pattern=KEEP_ALIVE)
    """how long Ollama keeps it loaded after a call; `-1` for ever, `0` not at all"""
    memory_gb: Gigabytes
    """what it takes when loaded"""
    thinking: bool | None = None
    """whether a model that can think does so where the client does not say; `null` leaves it to the model"""
    load_s: Seconds = 15
    """how long the model takes to load, until that was measured"""
    prefill_tokens_per_s: Rate = 300
    """how fast it reads a prompt, until that was measured"""
    answer_tokens_per_s: Rate = 10
    """how fast it answers"""
    fallbacks: tuple[Role, ...] = ()
    """roles to take, in this order, where this one cannot answer"""

    @property
    def num_ctx(self) -> int:
        """The window in tokens that Ollama is asked to load."""
        return self.used_window_tokens or self.window_tokens

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.num_ctx > self.window_tokens:
            raise ValueError(
                f"used_window_tokens = {self.num_ctx} must be at most window_tokens ({self.window_tokens})"
            )
        if self.answer_limit_tokens >= self.num_ctx:
            raise ValueError(
                f"answer_limit_tokens = {self.answer_limit_tokens} must be smaller than the window ({self.num_ctx})"
            )
        return self


class RoutingRule(Frozen):
    """A regular expression over the person's words that decides a role."""

    name: str = Field(min_length=1, max_length=80)
    """shown as the reason of a route"""
    role: Role
    """the role that answers"""
    priority: int = Field(default=50, ge=0, le=1000)
    """higher ones are tried first"""
    pattern: str = Field(min_length=1, max_length=2000)
    """what the person's words must contain, as a regular expression"""
    modes: tuple[Mode, ...] = ()
    """only in these modes of the client; empty for all"""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern, re.IGNORECASE)
        except re.error as error:
            raise ValueError(f"must be a regular expression: {error}") from error
        if why := why_hostile(pattern):
            raise ValueError(f"must be quick on any text: {why}")
        return pattern


class RoutingSettings(Frozen):
    """How a request finds its role when the client does not name one."""

    default_role: Role = "implementation"
    """the role of a request about which neither a rule nor the classifier says anything"""
    rules: tuple[RoutingRule, ...] = ()
    """what decides before the classifier is asked; those as shipped are replaced by yours, not added to"""
    arbiter: bool = True
    """whether `memory_fast` is asked where the classifier abstains: only if it is loaded and free"""
    arbiter_timeout_s: Seconds = 4
    """how long it may take; then the classifier's best guess holds"""


class MachineSettings(Frozen):
    """What the machine has, in GB, what is kept free beside the models, and how Ollama keeps their caches."""

    ram_gb: Gigabytes = 128
    """main memory"""
    vram_gb: Gigabytes = 16
    """memory of the graphics card"""
    system_gb: Gigabytes = 15
    """kept for the system"""
    vector_stores_gb: Gigabytes = 10
    """kept for the indexes"""
    spare_gb: Gigabytes = 3
    """kept free"""
    kv_cache_type: CacheType = "f16"
    """how Ollama keeps its caches: what its `OLLAMA_KV_CACHE_TYPE` is set to"""


class ModelsFile(Frozen):
    """The whole of `models.yaml`."""

    machine: MachineSettings = MachineSettings()
    roles: dict[Role, RoleSettings]
    routing: RoutingSettings = RoutingSettings()

    @property
    def planned_gb(self) -> float:
        """What the three models take together, each model counted once."""
        return sum({role.model: role.memory_gb for role in self.roles.values()}.values())

    @property
    def available_gb(self) -> float:
        """What the machine has left for models."""
        machine = self.machine
        return machine.ram_gb - machine.system_gb - machine.vector_stores_gb - machine.spare_gb

    @field_validator("roles")
    @classmethod
    def _all_roles(cls, roles: dict[Role, RoleSettings]) -> dict[Role, RoleSettings]:
        if missing := [role for role in ROLES if role not in roles]:
            raise ValueError(f"must name all three roles; missing: {', '.join(missing)}")
        return roles

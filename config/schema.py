"""Everything that can be configured: frozen, bounded, units in names. Read by `config.load` only."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from config.patterns import why_hostile

Role = Literal["memory_fast", "implementation", "memory_analysis"]
Mode = Literal["plan", "act", "yolo", "none"]
LogLevel = Literal["debug", "info", "warning", "error"]
StoreName = Literal["faiss", "chroma", "qdrant"]
CacheType = Literal["f16", "q8_0", "q4_0"]

MODES: tuple[Mode, ...] = ("plan", "act", "yolo", "none")
ROLES: tuple[Role, ...] = ("memory_fast", "implementation", "memory_analysis")

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Rate = Annotated[float, Field(gt=0, le=1_000_000)]
Gigabytes = Annotated[float, Field(ge=0, le=4096)]
Tokens = Annotated[int, Field(ge=256, le=10_485_760)]
KEEP_ALIVE = r"^(-1|0|\d+(s|m|h))$"
HTTP_URL = r"^https?://[^\s/]+(/\S*)?$"
HostName = Annotated[str, Field(pattern=r"^([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$")]
Origin = Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.-]*://[^\s/A-Z]+$")]


def _server_only(url: str, *, like: str, but: str) -> str:
    """The URL; raises `ValueError` where it holds more than the place of a server, as it is logged and shown."""
    if "@" in url:
        raise ValueError(f"must be a URL without a user or password: {but}")
    try:
        _ = urlsplit(url).port
    except ValueError as error:
        raise ValueError(f"must be a URL like {like}: {error}") from error
    return url


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RoleSettings(_Frozen):
    """One role's model and how it is called; the same option set for every call, as Ollama reloads on a change."""

    model: str = Field(min_length=1, max_length=200, pattern=r"^\S+$")
    job: str = Field(min_length=1, max_length=300)
    window_tokens: Tokens
    used_window_tokens: Tokens | None = None
    temperature: float = Field(ge=0, le=2)
    answer_limit_tokens: int = Field(ge=16, le=1_048_576)
    keep_alive: str = Field(pattern=KEEP_ALIVE)
    memory_gb: Gigabytes
    thinking: bool | None = None
    load_s: Seconds = 15
    prefill_tokens_per_s: Rate = 300
    answer_tokens_per_s: Rate = 10
    fallbacks: tuple[Role, ...] = ()

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


class RoutingRule(_Frozen):
    """A regular expression over the person's words that decides a role."""

    name: str = Field(min_length=1, max_length=80)
    role: Role
    priority: int = Field(default=50, ge=0, le=1000)
    pattern: str = Field(min_length=1, max_length=2000)
    modes: tuple[Mode, ...] = ()

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


class RoutingSettings(_Frozen):
    """How a request finds its role when the client does not name one."""

    default_role: Role = "implementation"
    rules: tuple[RoutingRule, ...] = ()
    arbiter: bool = True
    arbiter_timeout_s: Seconds = 4


class MachineSettings(_Frozen):
    """What the machine has, in GB, what is kept free beside the models, and how Ollama keeps their caches."""

    ram_gb: Gigabytes = 128
    vram_gb: Gigabytes = 16
    system_gb: Gigabytes = 15
    vector_stores_gb: Gigabytes = 10
    spare_gb: Gigabytes = 3
    kv_cache_type: CacheType = "f16"


class ModelsFile(_Frozen):
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


class ServerSettings(_Frozen):
    """Where the service listens and how it keeps a client's line alive."""

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65_535)
    model_id: str = Field(default="cline-memory-router", min_length=1, pattern=r"^\S+$")
    model_aliases: tuple[str, ...] = ("router-auto", "auto")
    allowed_hosts: tuple[HostName, ...] = ()
    cors_origins: tuple[Origin, ...] = ()
    max_body_bytes: int = Field(default=32 * 1024 * 1024, ge=1024, le=1024**3)
    max_messages: int = Field(default=10_000, ge=1, le=1_000_000)
    max_tools: int = Field(default=512, ge=0, le=100_000)
    max_images: int = Field(default=100, ge=0, le=100_000)
    head_timeout_s: float = Field(default=10, gt=0, le=600)
    body_timeout_s: float = Field(default=60, gt=0, le=3600)
    hold_status_s: float = Field(default=15, ge=0, le=60)
    heartbeat_s: float = Field(default=5, gt=0, le=60)
    shutdown_grace_s: float = Field(default=10, ge=0, le=600)


class BackendSettings(_Frozen):
    """How models are reached, and the time limits of a call."""

    kind: Literal["auto", "ollama", "embedded"] = "auto"
    base_url: str = Field(default="http://localhost:11434", pattern=HTTP_URL)
    probe_timeout_s: Seconds = 2
    connect_timeout_s: Seconds = 5
    load_timeout_s: Seconds = 600
    first_token_floor_s: Seconds = 120
    first_token_timeout_s: Seconds = 7200
    idle_timeout_s: Seconds = 120
    retries: int = Field(default=2, ge=0, le=10)
    retry_wait_s: Seconds = 0.5
    breaker_failures: int = Field(default=5, ge=1, le=1000)
    breaker_open_s: Seconds = 30
    calls_per_model: int = Field(default=1, ge=1, le=64)
    models_at_once: int = Field(default=3, ge=1, le=64)
    max_waiting_calls: int = Field(default=32, ge=0, le=10_000)
    switch_wait_s: Seconds = 120
    preload: tuple[Role, ...] = ROLES
    warm_coder: bool | None = None

    @field_validator("base_url")
    @classmethod
    def _names_a_server_only(cls, base_url: str) -> str:
        return _server_only(base_url, like="http://localhost:11434", but="Ollama asks for neither")


class MemorySettings(_Frozen):
    """How much of the memory bank a request may carry, and which folders may be read."""

    enabled: bool = True
    budget_tokens: int = Field(default=4000, ge=0, le=200_000)
    ranked_tokens: int = Field(default=2000, ge=0, le=200_000)
    whole_bank_tokens: int = Field(default=12_000, ge=0, le=200_000)
    window_share: float = Field(default=0.25, ge=0, le=0.9)
    max_files: int = Field(default=200, ge=1, le=10_000)
    max_file_bytes: int = Field(default=1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    max_bank_bytes: int = Field(default=8 * 1024 * 1024, ge=1024, le=512 * 1024 * 1024)
    workspace_roots: tuple[Path, ...] = ()
    default_workspace: Path | None = None
    folders: tuple[str, ...] = Field(default=("default",), min_length=1)
    embedder: Literal["local", "ollama"] = "local"
    ollama_embedding_model: str = Field(default="nomic-embed-text", min_length=1, max_length=200, pattern=r"^\S+$")
    ollama_keep_alive: str = Field(default="5m", pattern=KEEP_ALIVE)
    store: StoreName = "faiss"
    qdrant_url: str | None = Field(default=None, pattern=HTTP_URL)

    @field_validator("folders")
    @classmethod
    def _lie_in_the_project(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        for folder in folders:
            path = PurePosixPath(folder)
            if not folder.strip() or path.is_absolute() or ".." in path.parts or "\\" in folder or ":" in folder:
                raise ValueError(f"{folder!r} must be a folder within a project, written like docs/memory-bank")
        return folders

    @field_validator("qdrant_url")
    @classmethod
    def _names_a_server_only(cls, qdrant_url: str | None) -> str | None:
        if qdrant_url is None:
            return None
        return _server_only(qdrant_url, like="http://localhost:6333", but="the key belongs in QDRANT_API_KEY")


class SessionSettings(_Frozen):
    """What is remembered of a conversation: never message bodies, see docs/architecture.md."""

    enabled: bool = True
    expiry_days: float = Field(default=14, gt=0, le=3650)
    max_records: int = Field(default=20_000, ge=100, le=10_000_000)


class LoggingSettings(_Frozen):
    """`auto` prints for people on a terminal and JSON lines otherwise."""

    level: LogLevel = "info"
    format: Literal["auto", "console", "json"] = "auto"


class PathSettings(_Frozen):
    """Folders the service writes to or reads models from; relative ones are under the working directory."""

    vector_store_path: Path = Path("./vector_stores")
    model_cache_dir: Path = Path("./models")


class ServerFile(_Frozen):
    """The whole of `server_config.yaml`."""

    server: ServerSettings = ServerSettings()
    backend: BackendSettings = BackendSettings()
    memory: MemorySettings = MemorySettings()
    sessions: SessionSettings = SessionSettings()
    logging: LoggingSettings = LoggingSettings()
    paths: PathSettings = PathSettings()


class Settings(ServerFile):
    """Both files and the environment, merged: what `build_app` takes. A key is in the environment only."""

    models: ModelsFile
    api_key: SecretStr | None = None
    qdrant_api_key: SecretStr | None = None

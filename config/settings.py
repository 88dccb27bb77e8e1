"""How the service runs: what server_config.yaml holds, and both files and the environment merged.

Frozen, bounded, units in names; read by `config.load` only. The sentence below a key is what docs/configuration.md says
of it: `make docs` writes it there.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from config.schema import KEEP_ALIVE, NO_SPACES, ROLES, Frozen, ModelsFile, Role, Seconds

LogLevel = Literal["debug", "info", "warning", "error"]
StoreName = Literal["faiss", "chroma", "qdrant"]

HTTP_URL = r"^https?://[^\s/]+(/\S*)?$"
HOST_NAME = r"^([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$"
ORIGIN = r"^[a-z][a-z0-9+.-]*://[^\s/A-Z]+$"
HostName = Annotated[str, Field(pattern=HOST_NAME)]
Origin = Annotated[str, Field(pattern=ORIGIN)]


def _server_only(url: str, *, like: str, but: str) -> str:
    """The URL; raises `ValueError` where it holds more than the place of a server, as it is logged and shown."""
    if "@" in url:
        raise ValueError(f"must be a URL without a user or password: {but}")
    try:
        _ = urlsplit(url).port
    except ValueError as error:
        raise ValueError(f"must be a URL like {like}: {error}") from error
    return url


class ServerSettings(Frozen):
    """Where the service listens and how it keeps a client's line alive."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """address to listen on; anything but loopback needs `API_KEY`"""
    port: int = Field(default=8000, ge=0, le=65_535)
    """port to listen on; 0 takes a free one"""
    model_id: str = Field(default="cline-memory-router", min_length=1, pattern=NO_SPACES)
    """the one model that clients see"""
    model_aliases: tuple[str, ...] = ("router-auto", "auto")
    """other ids that mean the same"""
    allowed_hosts: tuple[HostName, ...] = ()
    """names by which clients may call the service, besides loopback names, `host` and the address they connect to;
    ports do not count"""
    cors_origins: tuple[Origin, ...] = ()
    """origins whose pages may use the service from a browser, like `https://chat.example`"""
    max_body_bytes: int = Field(default=32 * 1024 * 1024, ge=1024, le=1024**3)
    """larger requests are refused with 413"""
    max_messages: int = Field(default=10_000, ge=1, le=1_000_000)
    """most messages of one chat"""
    max_tools: int = Field(default=512, ge=0, le=100_000)
    """most tools of one chat"""
    max_images: int = Field(default=100, ge=0, le=100_000)
    """most images of one chat"""
    head_timeout_s: float = Field(default=10, gt=0, le=600)
    """how long a request's headers may take to arrive; then 408"""
    body_timeout_s: float = Field(default=60, gt=0, le=3600)
    """how long its body may take; then 408"""
    hold_status_s: float = Field(default=15, ge=0, le=60)
    """how long the HTTP status waits for the model's first event, so that early failures are statuses; 0 sends 200 at
    once"""
    heartbeat_s: float = Field(default=5, gt=0, le=60)
    """a comment line is sent whenever the stream was silent for so long"""
    shutdown_grace_s: float = Field(default=10, ge=0, le=600)
    """how long running answers may go on after the service was told to stop (a second signal ends them at once)"""


class BackendSettings(Frozen):
    """How models are reached, and the time limits of a call."""

    kind: Literal["auto", "ollama", "embedded"] = "auto"
    """`auto`: Ollama if it answers and has one of the models, else the embedded backend until it does; `ollama`: only
    Ollama, and wait for it; `embedded`: only the embedded one"""
    base_url: str = Field(default="http://localhost:11434", pattern=HTTP_URL)
    """where Ollama is"""
    probe_timeout_s: Seconds = 2
    """how long the search for Ollama waits for an answer; also the pause between two searches with `kind: ollama`"""
    connect_timeout_s: Seconds = 5
    """longest wait for a connection"""
    load_timeout_s: Seconds = 600
    """longest wait for a model to be loaded"""
    first_token_floor_s: Seconds = 120
    """the first token of a loaded model is waited for four times as long as reading the prompt is expected to take; at
    least so long"""
    first_token_timeout_s: Seconds = 7200
    """and at most so long"""
    idle_timeout_s: Seconds = 120
    """longest silence between two tokens; longer where tools are offered ([faults.md](faults.md))"""
    retries: int = Field(default=2, ge=0, le=10)
    """how often a call is made anew that failed before its first token in a way that may pass: a refused connection, a
    busy or failing server"""
    retry_wait_s: Seconds = 0.5
    """longest pause before the first of these; each further one may be twice as long, and all are drawn at random"""
    breaker_failures: int = Field(default=5, ge=1, le=1000)
    """so many failed calls of a model in a row, and it gets none for a while; its role's `fallbacks` stand in"""
    breaker_open_s: Seconds = 30
    """how long; then it is looked at, and one call tries it"""
    calls_per_model: int = Field(default=1, ge=1, le=64)
    """calls that one model answers at the same time"""
    models_at_once: int = Field(default=3, ge=1, le=64)
    """models that answer at the same time"""
    max_waiting_calls: int = Field(default=32, ge=0, le=10_000)
    """calls that may wait for one model; more get 429 with `Retry-After`"""
    switch_wait_s: Seconds = 120
    """how long calls for a loaded model may go before one that needs another model in its place"""
    preload: tuple[Role, ...] = ROLES
    """roles whose models are loaded at the start, in this order, where they fit"""
    warm_coder: bool | None = None
    """whether `implementation` is loaded while the person reads a plan or an analysis; `null`: only where it pushes no
    other model out"""

    @field_validator("base_url")
    @classmethod
    def _names_a_server_only(cls, base_url: str) -> str:
        return _server_only(base_url, like="http://localhost:11434", but="Ollama asks for neither")


class MemorySettings(Frozen):
    """How much of the memory bank a request may carry, and which folders may be read."""

    enabled: bool = True
    """whether memory banks are read at all"""
    budget_tokens: int = Field(default=4000, ge=0, le=200_000)
    """most memory that one message gets"""
    ranked_tokens: int = Field(default=2000, ge=0, le=200_000)
    """most that passages chosen by rank may take; a question the bank does not seem to answer gets a fraction of it"""
    whole_bank_tokens: int = Field(default=12_000, ge=0, le=200_000)
    """most that a message gets which asks for the bank itself ("read the memory bank"); larger banks never go in
    whole"""
    window_share: float = Field(default=0.25, ge=0, le=0.9)
    """most memory that one message gets, as a share of the model's window; the smaller of the two holds"""
    max_files: int = Field(default=200, ge=1, le=10_000)
    """files of a bank that are read; the rest is told as left out"""
    max_file_bytes: int = Field(default=1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    """larger files are left out"""
    max_bank_bytes: int = Field(default=8 * 1024 * 1024, ge=1024, le=512 * 1024 * 1024)
    """most that is read of one bank"""
    workspace_roots: tuple[Path, ...] = ()
    """folders below which a workspace's bank may be read, and no other; empty allows any folder that belongs to the
    user who runs the service (on Windows any)"""
    default_workspace: Path | None = None
    """the workspace of requests that name none"""
    folders: tuple[str, ...] = Field(default=("default",), min_length=1)
    """folders within a project where its bank may lie, the best place first; `default` stands for
    [the usual ones](#where-a-bank-is-looked-for)"""
    embedder: Literal["local", "ollama"] = "local"
    """`local`: all-MiniLM-L6-v2 in this process, on the CPU; `ollama`: a model of the Ollama at `backend.base_url`"""
    ollama_embedding_model: str = Field(default="nomic-embed-text", min_length=1, max_length=200, pattern=NO_SPACES)
    """that model's name in Ollama, for `embedder: ollama`; it must be pulled"""
    ollama_keep_alive: str = Field(default="5m", pattern=KEEP_ALIVE)
    """how long Ollama keeps it loaded after a call; `-1` for ever, `0` not at all"""
    store: StoreName = "faiss"
    """where vectors are kept and searched ([stores](#vector-stores))"""
    qdrant_url: str | None = Field(default=None, pattern=HTTP_URL)
    """a Qdrant server for `store: qdrant`, with port 6333 where it names none; `null` keeps Qdrant's files on this
    machine"""

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


class SessionSettings(Frozen):
    """What is remembered of a conversation: never message bodies, see docs/architecture.md."""

    enabled: bool = True
    """whether anything is remembered between requests"""
    expiry_days: float = Field(default=14, gt=0, le=3650)
    """records that were not read for so long are deleted"""
    max_records: int = Field(default=20_000, ge=100, le=10_000_000)
    """records of each kind (routes, memory blocks) that are kept, and up to a twentieth more; the oldest are deleted
    first"""


class LoggingSettings(Frozen):
    """`auto` prints for people on a terminal and JSON lines otherwise."""

    level: LogLevel = "info"
    """least important line that is shown"""
    format: Literal["auto", "console", "json"] = "auto"
    """`auto`: for people on a terminal, JSON lines otherwise"""


class PathSettings(Frozen):
    """Folders the service writes to or reads models from; relative ones are under the working directory."""

    vector_store_path: Path = Path("./vector_stores")
    """indexes of memory banks and `sessions.sqlite`"""
    model_cache_dir: Path = Path("./models")
    """embedding models of your own"""


class ServerFile(Frozen):
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

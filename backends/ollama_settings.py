"""Ollama's own variables, as far as they can be seen from here, and what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from backends.budget import MemoryPlan
from backends.findings import Finding
from config.settings import BackendSettings

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
CHECK = "Ollama's own"
MAX_LOADED, PARALLEL, KEEP_ALIVE = "OLLAMA_MAX_LOADED_MODELS", "OLLAMA_NUM_PARALLEL", "OLLAMA_KEEP_ALIVE"
CACHE_TYPE, FLASH_ATTENTION = "OLLAMA_KV_CACHE_TYPE", "OLLAMA_FLASH_ATTENTION"
EXAMINED = (MAX_LOADED, PARALLEL, KEEP_ALIVE, CACHE_TYPE, FLASH_ATTENTION)
TRUE = {"1", "t", "true"}  # as Go's strconv.ParseBool has it, in lower case


@dataclass(frozen=True, slots=True)
class OllamaSettings:
    """Those of the running process, or else those of this shell, of which Ollama as a service may have others."""

    variables: Mapping[str, str]
    running: bool = False

    def of(self, name: str) -> str | None:
        """A variable's value; None where it is not set, which says little of a shell's."""
        return self.variables.get(name, "").strip() or None

    def told(self, name: str) -> str:
        """A variable as a finding names it."""
        return f"{name} is {self.of(name) or 'not set'} {'for the running Ollama' if self.running else 'in this shell'}"


def seen_settings(base_url: str, shell: Mapping[str, str], proc: Path = Path("/proc")) -> OllamaSettings:
    """The running Ollama's, where it runs on this Linux machine and belongs to the same user; else the shell's."""
    if urlsplit(base_url).hostname in LOOPBACK:
        for process in proc.glob("[0-9]*"):
            try:
                name, *arguments = (process / "cmdline").read_bytes().split(b"\0")
                if Path(os.fsdecode(name)).name == "ollama" and b"serve" in arguments:
                    pairs = [
                        os.fsdecode(each).partition("=") for each in (process / "environ").read_bytes().split(b"\0")
                    ]
                    return OllamaSettings(
                        {key: value for key, _, value in pairs if key.startswith("OLLAMA_")}, running=True
                    )
            except OSError:  # another user's, or ended meanwhile
                continue
    return OllamaSettings(shell)


def examine_own_settings(own: OllamaSettings, plan: MemoryPlan, settings: BackendSettings) -> Iterator[Finding]:
    """What makes Ollama unload models, take more memory than planned, or keep another cache than planned."""
    if not own.running and not any(own.of(name) for name in EXAMINED):
        yield Finding(
            CHECK,
            "ok",
            f"its variables cannot be seen from here: {MAX_LOADED} must not be below {len(plan.needs)}, {PARALLEL} "
            f"should be {settings.calls_per_model}, a quantised cache needs {FLASH_ATTENTION}=1 and {CACHE_TYPE} as "
            "in machine.kv_cache_type",
        )
        return
    found = [*_loaded_at_once(own, plan), *_calls_at_once(own, settings), *_cache(own, plan)]
    if (kept := own.of(KEEP_ALIVE)) is not None:
        told = f"{KEEP_ALIVE} is {kept}: it counts for other clients, as each of our calls says its own"
        found.append(Finding(CHECK, "ok", told))
    yield from found or [Finding(CHECK, "ok", "nothing in its variables is against the plan")]


def _loaded_at_once(own: OllamaSettings, plan: MemoryPlan) -> Iterator[Finding]:
    most = _number(own, MAX_LOADED)
    if most and most < len(plan.needs):
        yield Finding(
            CHECK,
            "warning",
            f"{own.told(MAX_LOADED)}, for {len(plan.needs)} models: it unloads one to load another, whatever fits",
            f"start Ollama with {MAX_LOADED}={len(plan.needs)}, or without it",
        )


def _calls_at_once(own: OllamaSettings, settings: BackendSettings) -> Iterator[Finding]:
    ours = settings.calls_per_model
    parallel = _number(own, PARALLEL) or (1 if own.running else None)
    if parallel and parallel > ours:
        told = f"each model gets {parallel} windows of cache, and {ours} of them is used (backend.calls_per_model)"
        yield Finding(CHECK, "warning", f"{own.told(PARALLEL)}: {told}", f"start Ollama with {PARALLEL}={ours}")
    elif parallel and parallel < ours:
        told = f"backend.calls_per_model is {ours}: Ollama lets some of those wait, which looks like a slow model"
        yield Finding(
            CHECK, "warning", f"{own.told(PARALLEL)}, and {told}", f"set backend.calls_per_model to {parallel}"
        )


def _cache(own: OllamaSettings, plan: MemoryPlan) -> Iterator[Finding]:
    kept = own.of(CACHE_TYPE) or ("f16" if own.running else None)
    if kept and kept != plan.cache_type:
        told = f"{own.told(CACHE_TYPE)}, machine.kv_cache_type is {plan.cache_type}"
        yield Finding(CHECK, "warning", told, "set both to the same")
    if kept and kept != "f16" and (own.of(FLASH_ATTENTION) or "").lower() not in TRUE:
        told = f"{own.told(FLASH_ATTENTION)}: without it the cache may stay f16, whatever {CACHE_TYPE} says"
        yield Finding(CHECK, "warning", told, f"start Ollama with {FLASH_ATTENTION}=1")


def _number(own: OllamaSettings, name: str) -> int | None:
    text = own.of(name) or ""
    return int(text) if text.isascii() and text.isdigit() else None

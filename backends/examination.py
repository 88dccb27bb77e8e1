"""The model side of `make doctor`: Ollama, its models, their windows, the memory they take, the tools they call."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from backends.budget import BYTES_PER_VALUE, GB, MemoryPlan, plan_memory
from backends.discovery import look_at_ollama
from backends.findings import Finding
from backends.live_view import loaded_as_ours
from backends.ollama_api import ModelFacts, OllamaApi, same_model
from backends.ollama_settings import LOOPBACK, OllamaSettings, examine_own_settings
from backends.types import BackendStatus, LoadedModel, ModelCard
from config.errors import RouterError
from config.schema import ModelsFile, Role
from config.settings import BackendSettings

OLLAMA_DEFAULT_WINDOW = 4096
# What firmware and a graphics chip take of the RAM that was bought.
RAM_TOLERANCE = 1.1


@dataclass(frozen=True, slots=True)
class Examined:
    """The findings, and the models that are there by role."""

    findings: tuple[Finding, ...]
    models: Mapping[Role, ModelCard] = field(default_factory=dict)


async def examine_models(settings: BackendSettings, models: ModelsFile, own: OllamaSettings) -> Examined:
    """Look at everything about the models; loads none. `own` are Ollama's."""
    if settings.kind == "embedded":
        told = "backend.kind is embedded: a tiny model answers, which is no coding model"
        return Examined((Finding("Ollama", "warning", told, "set backend.kind to auto to use Ollama"),))
    async with httpx.AsyncClient(base_url=settings.base_url, trust_env=False) as client:
        api = OllamaApi(client)
        try:
            status = await look_at_ollama(api, models.roles, timeout_s=settings.probe_timeout_s)
            facts = {card.name: await api.facts(card.name) for card in status.models.values()}
            loaded = await api.loaded(settings.probe_timeout_s)
        except RouterError as error:
            message, _, fix = error.message.rstrip(".").partition(": ")
            return Examined((Finding("Ollama", "error", message, fix or "see what listens there"),))
    plan = plan_memory(status.models.values(), models)
    findings = [
        Finding("Ollama", "ok", f"version {status.version} answers at {status.base_url}"),
        *_present(status, models),
        *_windows(status, models, facts),
        *_loaded_now(status, loaded),
        *_other_clients(status, loaded, own),
        *_memory(plan, settings, models),
        *examine_own_settings(own, plan, settings),
        *_tools(status, facts),
    ]
    return Examined(tuple(findings), status.models)


def _present(status: BackendStatus, models: ModelsFile) -> Iterator[Finding]:
    for role, settings in models.roles.items():
        if card := status.models.get(role):
            yield Finding("models", "ok", f"{role}: {card.name} is there")
        else:
            stand_in = next((each for each in settings.fallbacks if each in status.models), None)
            meanwhile = f"{stand_in} stands in" if stand_in else "nothing stands in"
            yield Finding("models", "error", f"{role}: {settings.model} is missing, {meanwhile}", status.missing[role])


def _windows(status: BackendStatus, models: ModelsFile, facts: Mapping[str, ModelFacts]) -> Iterator[Finding]:
    for role, card in status.models.items():
        own, asked = facts[card.name].window_tokens, models.roles[role].num_ctx
        if own is not None and own < asked:
            yield Finding(
                "windows",
                "warning",
                f"{role}: {card.name} has a window of {own} tokens, models.yaml asks for {asked}; {own} are used",
                f"set window_tokens of {role} to {own}, or take a variant of the model with a larger window",
            )
        else:
            yield Finding("windows", "ok", f"{role}: {card.window_tokens} tokens, sent as num_ctx with each call")


def _loaded_now(status: BackendStatus, loaded: tuple[LoadedModel, ...]) -> Iterator[Finding]:
    ours = {card.name for card in status.models.values()}
    for model in loaded:
        if any(same_model(name, model.name) for name in ours):
            told = f"{model.name}: {model.size_bytes / GB:.0f} GB, {1 - model.ram_share:.0%} of it on the graphics card"
            until = f", until {model.expires_at:%Y-%m-%d %H:%M:%S %Z}" if model.expires_at else ""
            yield Finding("loaded", "ok", told + until)


def _other_clients(status: BackendStatus, loaded: tuple[LoadedModel, ...], own: OllamaSettings) -> Iterator[Finding]:
    fix = "let the other clients come through this service, or have them send the same num_ctx"
    cards = {card.name: card for card in status.models.values()}
    foreign = [
        f"{model.name} is loaded with {model.window_tokens} tokens, ours are {card.window_tokens}"
        for model in loaded
        for card in cards.values()
        if same_model(card.name, model.name) and not loaded_as_ours(model, card.window_tokens)
    ]
    for told in foreign:
        yield Finding("other clients", "warning", f"{told}: each change between the two loads it anew", fix)
    default = own.of("OLLAMA_CONTEXT_LENGTH")
    told = (
        "a client that sends no num_ctx, as all of Ollama's /v1, loads a model with "
        f"{default or OLLAMA_DEFAULT_WINDOW} tokens ({own.told('OLLAMA_CONTEXT_LENGTH')}), "
        "and our next call loads it anew"
    )
    trap = default is not None and default not in {str(card.window_tokens) for card in cards.values()}
    if trap or not foreign:
        yield Finding("other clients", "warning" if trap else "ok", told, fix if trap else None)


def _memory(plan: MemoryPlan, settings: BackendSettings, models: ModelsFile) -> Iterator[Finding]:
    if not plan.needs:
        return
    totals = ", ".join(f"{plan.total_gb(cache_type):.0f} GB ({cache_type})" for cache_type in BYTES_PER_VALUE)
    problem = plan.problem()
    yield Finding(
        "memory",
        "warning" if problem else "ok",
        f"the models take, by the type of their caches, {totals}: weights + {plan.cache_type} cache {plan.figures()}; "
        f"{plan.available_gb:.0f} GB are there for them ({plan.ram_gb:g} of RAM, {plan.vram_gb:g} of VRAM)",
        plan.fix() if problem else None,
    )
    for need in plan.needs:
        total = need.total_gb(plan.cache_type)
        if total > plan.available_gb:
            yield Finding(
                "memory",
                "error" if need.weights_gb > models.machine.ram_gb + plan.vram_gb else "warning",
                f"{need.model} takes {total:.0f} GB by itself, more than there is: Ollama refuses it or reads it from "
                "the disk again and again",
                "lower its used_window_tokens, or take a smaller model",
            )
        elif plan.vram_gb:
            share = min(1.0, plan.vram_gb / total)
            yield Finding("memory", "ok", f"{need.model}: {total:.0f} GB, of which {share:.0%} fit the graphics card")
    yield from _side_by_side(plan)
    yield from _as_configured(settings, models)


def _side_by_side(plan: MemoryPlan) -> Iterator[Finding]:
    needs = sorted(need.total_gb(plan.cache_type) for need in plan.needs)
    if plan.vram_gb and len(needs) > 1 and sum(needs[:2]) > plan.vram_gb:
        yield Finding(
            "memory",
            "ok",
            "no two of them fit the graphics card together: Ollama keeps one loaded at a time while it uses the card, "
            "and calls are gathered before a switch",
        )


def _as_configured(settings: BackendSettings, models: ModelsFile) -> Iterator[Finding]:
    """Whether what `models.yaml` says of the machine is so, as far as can be seen from here."""
    ram_gb = _ram_gb() if urlsplit(settings.base_url).hostname in LOOPBACK else None
    if ram_gb is not None and models.machine.ram_gb > ram_gb * RAM_TOLERANCE:
        yield Finding(
            "memory",
            "warning",
            f"models.yaml says {models.machine.ram_gb:g} GB of RAM, this machine has {ram_gb:.0f}",
            f"set machine.ram_gb to {ram_gb:.0f}",
        )


def _ram_gb() -> float | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GB
    except (AttributeError, OSError, ValueError):
        return None


def _tools(status: BackendStatus, facts: Mapping[str, ModelFacts]) -> Iterator[Finding]:
    able = [role for role, card in status.models.items() if card.tools]
    for role, card in status.models.items():
        template = facts[card.name].template
        if not card.tools:
            yield Finding(
                "tools",
                "warning" if able else "error",
                f"{role}: the template of {card.name} cannot call tools, which Cline's requests bring",
                f"pull {card.name} anew, or name a model in models.yaml that Ollama lists with `tools`",
            )
        elif template and ".Tools" not in template and ".Messages" in template:
            yield Finding(
                "tools",
                "warning",
                f"{role}: Ollama says that {card.name} can call tools, but its template does not show them to it",
                f"pull {card.name} anew",
            )
        else:
            yield Finding("tools", "ok", f"{role}: {card.name} can call tools")

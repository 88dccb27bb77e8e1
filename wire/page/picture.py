"""What the page shows, gathered from the running service: plain values, ready for a template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from backends.breaker import BreakerState
from backends.types import EMBEDDED_NOTE, BackendStatus, LoadedModel, ModelCard
from chains.ledger import Ledger
from config.schema import ROLES, Role
from retrievers.report import BankReport
from wire.service import RouterService

GB = 1e9
# Of the window, as they stand in a `Ledger`.
PARTS = ("system", "tools", "history", "memory", "answer")
# A part that is there stays visible, in percent.
LEAST_WIDTH = 0.4


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One role's model; `pull` is what to type where it is missing, `load_s` not known of a model that stands in.

    `broken` tells why the breaker lets no call through.
    """

    role: Role
    wanted: str
    card: ModelCard | None
    loaded: LoadedModel | None
    pull: str | None
    running: int
    waiting: int
    load_s: float | None
    breaker: BreakerState
    broken: str | None


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """What the loaded models take of what there is for them, in GB."""

    name: str
    used_gb: float
    budget_gb: float


@dataclass(frozen=True, slots=True)
class ModelsPicture:
    """The model side now."""

    headline: str
    mood: Literal["good", "bad", ""]
    rows: tuple[ModelRow, ...]
    uses: tuple[MemoryUse, ...]
    knows_loaded: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """One part of the context bar: where it begins and how wide it is, in percent of the window."""

    name: str
    tokens: int
    start: float
    width: float


async def picture_models(service: RouterService) -> ModelsPicture:
    """Which model serves which role, what is loaded, and what waits."""
    status = service.models.status
    loaded = await service.models.loaded()
    machine = service.settings.models.machine
    rows = tuple(_row(service, role, loaded or {}) for role in ROLES)
    sizes = (loaded or {}).values()
    vram = sum(model.vram_bytes for model in sizes) / GB
    ram = sum(model.size_bytes - model.vram_bytes for model in sizes) / GB
    return ModelsPicture(
        headline=_headline(status),
        mood=_mood(status),
        rows=rows,
        uses=(
            MemoryUse("Graphics memory", vram, machine.vram_gb),
            MemoryUse("Main memory", ram, service.settings.models.available_gb),
        ),
        knows_loaded=loaded is not None,
    )


async def picture_banks(service: RouterService) -> tuple[BankReport, ...]:
    """The banks of the workspaces that recent requests came from, and of the default one."""
    workspaces = {past.routed.workspace for past in service.recent.requests}
    workspaces.add(service.settings.memory.default_workspace)
    reports = [await service.memory.report(workspace) for workspace in sorted(filter(None, workspaces))]
    return tuple(report for report in reports if report.status.root is not None)


def context_bar(ledger: Ledger) -> tuple[Bar, ...]:
    """The window's parts from left to right; what is left of it is empty."""
    bars: list[Bar] = []
    start = 0.0
    for name in PARTS:
        tokens = int(getattr(ledger, name))
        width = 100 * max(0, tokens) / ledger.window
        if tokens > 0:
            bars.append(Bar(name, tokens, round(start, 2), round(max(width, LEAST_WIDTH), 2)))
        start += width
    return tuple(bars)


def _mood(status: BackendStatus) -> Literal["good", "bad", ""]:
    if status.kind == "starting":
        return ""
    if not status.ready:
        return "bad"
    return "" if status.kind == "embedded" else "good"


def _headline(status: BackendStatus) -> str:
    if not status.ready:
        return status.reason
    if status.kind == "embedded":
        return f"The embedded backend answers, because {status.reason}. {EMBEDDED_NOTE}"
    return f"Ollama {status.version or ''} answers at {status.base_url}"


def _row(service: RouterService, role: Role, loaded: Mapping[str, LoadedModel]) -> ModelRow:
    models, status = service.models, service.models.status
    card, wanted = status.models.get(role), service.settings.models.roles[role].model
    name = card.name if card else ""
    waiting, breaker = models.waiting_calls.get(name, 0), models.breakers.get(name)
    return ModelRow(
        role=role,
        wanted=wanted,
        card=card,
        loaded=loaded.get(card.name) if card else None,
        pull=status.missing.get(role),
        running=models.calls.get(name, 0) - waiting,
        waiting=waiting,
        load_s=service.deps.speeds.rates.speed(role).load_s if card and card.name == wanted else None,
        breaker=breaker.state if breaker else "closed",
        broken=breaker.reason if breaker else None,
    )

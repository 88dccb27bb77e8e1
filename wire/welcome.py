"""What the terminal shows once the service is up: where it is, what to paste into Cline, what was found."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from backends.budget import MemoryPlan, plan_memory
from backends.types import EMBEDDED_NOTE, BackendStatus
from config.schema import ROLES
from config.settings import Settings
from retrievers.types import BankStatus
from wire.cline_settings import cline_settings


def show_welcome(settings: Settings, base_url: str, status: BackendStatus, bank: BankStatus | None) -> None:
    """Print the panel to standard output; `base_url` is where the service really listens, without a path."""
    Console().print(welcome(settings, base_url, status, bank))


def welcome(settings: Settings, base_url: str, status: BackendStatus, bank: BankStatus | None) -> Panel:
    """The panel that `show_welcome` prints."""
    parts: list[RenderableType] = [
        _rows(
            ("Listening on", Text(base_url, style="bold green")),
            ("Status page", Text(f"{base_url}/")),
            ("Chat", Text(f"{base_url}/chat/playground/")),
            ("Playground", Text(f"{base_url}/router/playground/")),
            ("Health", Text(f"{base_url}/health")),
        ),
        Text("\nPaste into Cline, API provider OpenAI Compatible", style="bold"),
        _cline_settings(settings, base_url, status),
        Text("\nModels", style="bold"),
        _backend_line(status),
        _models(settings, status),
        *(
            []
            if status.kind == "embedded"
            else [_memory_plan(settings, plan_memory(status.models.values(), settings.models))]
        ),
        Text("\nMemory bank", style="bold"),
        Text(_bank_line(bank)),
        Text("\nStop with Ctrl-C", style="dim"),
    ]
    return Panel(Group(*parts), title="cline-memory-router", border_style="green", padding=(1, 2))


def _rows(*rows: tuple[str, Text]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        table.add_row(name, value)
    return table


def _cline_settings(settings: Settings, base_url: str, status: BackendStatus) -> Table:
    values = cline_settings(settings, base_url, status.models)
    return _rows(*((f"  {name}", Text(value, style="bold")) for name, value in values.items()))


def _backend_line(status: BackendStatus) -> Text:
    match status.kind:
        case "ollama":
            return Text(f"  Ollama {status.version or '(no answer)'} at {status.base_url}")
        case "embedded":
            return Text(
                f"  Embedded backend, because {status.reason}.\n  {EMBEDDED_NOTE}",
                style="yellow",
            )
        case _:
            return Text(f"  No model: {status.reason}", style="red")


def _models(settings: Settings, status: BackendStatus) -> Table:
    table = Table.grid(padding=(0, 2))
    for role in ROLES:
        card, pull = status.models.get(role), status.missing.get(role)
        found = (
            f"{card.name}, {card.window_tokens:,} tokens" if card else f"{settings.models.roles[role].model} is missing"
        )
        table.add_row(f"  {role}", Text(found, style="green" if card else "red"))
        if pull:
            table.add_row("", Text(pull, style="cyan"))
    return table


def _memory_plan(settings: Settings, plan: MemoryPlan) -> Padding:
    planned, available = settings.models.planned_gb, settings.models.available_gb
    if problem := plan.problem():
        text = Text(problem, style="yellow")
    elif planned > available:
        text = Text(
            f"planned: {planned:g} GB for models, but only {available:g} GB are free for them "
            "(machine and memory_gb in models.yaml): Ollama will swap models",
            style="yellow",
        )
    else:
        text = Text(f"planned: {planned:g} of {available:g} GB for models", style="dim")
    return Padding(text, (0, 0, 0, 2))


def _bank_line(bank: BankStatus | None) -> str:
    if bank is None:
        return "  switched off (memory.enabled)"
    if bank.root is None:
        return f"  none in {bank.workspace}\n  (each request's own workspace is searched when it comes)"
    return f"  {bank.root}: {bank.files} files, {bank.size_bytes:,} bytes"

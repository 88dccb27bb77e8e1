"""What the terminal shows once the service is up: where it is, what to paste into Cline, what was found."""

from __future__ import annotations

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from backends.types import BackendStatus
from config.schema import ROLES, Settings
from retrievers.types import BankStatus
from wire.models import reliable_window


def welcome(settings: Settings, base_url: str, status: BackendStatus, bank: BankStatus) -> Panel:
    """The panel; `base_url` is where the service really listens, without a path."""
    parts: list[Table | Text] = [
        Text.assemble(("Listening on ", ""), (base_url, "bold green")),
        Text("\nPaste into Cline (API provider: OpenAI Compatible)", style="bold"),
        _cline_settings(settings, base_url, status),
        Text("\nModels", style="bold"),
        _backend_line(status),
        _models(settings, status),
        Text("\nMemory bank", style="bold"),
        Text(_bank_line(bank)),
        Text(
            f"\nHealth {base_url}/health   Playground {base_url}/router/playground/   Stop with Ctrl-C",
            style="dim",
        ),
    ]
    return Panel(Group(*parts), title="cline-memory-router", border_style="green", padding=(1, 2))


def show_welcome(settings: Settings, base_url: str, status: BackendStatus, bank: BankStatus) -> None:
    """Print it to standard output."""
    Console().print(welcome(settings, base_url, status, bank))


def _cline_settings(settings: Settings, base_url: str, status: BackendStatus) -> Table:
    window = reliable_window(status.models)
    table = Table.grid(padding=(0, 2))
    table.add_row("  Base URL", f"{base_url}/v1")
    table.add_row("  API key", "anything, for example sk-local")
    table.add_row("  Model ID", settings.server.model_id)
    table.add_row("  Context window size", str(window) if window else "shown here once a model is there")
    return table


def _backend_line(status: BackendStatus) -> Text:
    match status.kind:
        case "ollama":
            return Text(f"  Ollama {status.version or '(no answer)'} at {status.base_url}")
        case "embedded":
            return Text(
                f"  Embedded backend: a tiny model that proves the plumbing and is no coding model, because "
                f"{status.reason}.",
                style="yellow",
            )
        case _:
            return Text(f"  No model: {status.reason}", style="red")


def _models(settings: Settings, status: BackendStatus) -> Table:
    table = Table.grid(padding=(0, 2))
    for role in ROLES:
        card, pull = status.models.get(role), status.missing.get(role)
        found = f"{card.name}, window {card.window_tokens}" if card else "missing"
        hint = f"to get {settings.models.roles[role].model}: {pull}" if pull else ""
        table.add_row(f"  {role}", Text(found, style="green" if card else "red"), Text(hint, style="dim"))
    return table


def _bank_line(bank: BankStatus) -> str:
    if bank.root is None:
        return f"  none in {bank.workspace}; each request's own workspace is searched when it comes"
    return f"  {bank.root}: {bank.files} files, {bank.size_bytes} bytes"

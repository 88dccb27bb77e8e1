"""`doctor`: what is wrong with the machine, and the fix."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console
from rich.status import Status
from rich.text import Text

from backends.findings import Finding, Level
from backends.ollama_settings import seen_settings
from config.errors import ConfigError
from config.load import ollama_variables
from wire.doctor import examine, wrong_configuration
from wire.terminal.parts import EXIT_FAILED, AsJson, Parts, Workspace, folder_of, print_json

STYLES: Mapping[Level, str] = {"ok": "green", "warning": "yellow", "error": "bold red"}


def add_doctor(terminal: typer.Typer, parts: Parts) -> None:
    """Add the command to the terminal."""

    @terminal.command()
    def doctor(workspace: Workspace = None, as_json: AsJson = False) -> None:
        """Look at Ollama, models, memory, stores and the memory bank; exit code 1 where something is an error."""
        findings = asyncio.run(_findings(parts, workspace))
        counts = _counts(findings)
        if as_json:
            print_json({"counts": counts, "findings": [asdict(finding) for finding in findings]})
        else:
            _show(findings, counts)
        if counts["error"]:
            raise typer.Exit(EXIT_FAILED)


async def _findings(parts: Parts, workspace: Path | None) -> list[Finding]:
    try:
        settings = parts.settings_for_command()
        place = folder_of(workspace or settings.memory.default_workspace)
        with Status("Looking at everything, and loading the embedder", console=Console(stderr=True)):
            async with parts.open_memory(settings) as memory:
                own = await asyncio.to_thread(seen_settings, settings.backend.base_url, ollama_variables())
                return await examine(settings, memory, own, place)
    except ConfigError as error:
        return wrong_configuration(error)


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    levels = [finding.level for finding in findings]
    return {level: levels.count(level) for level in STYLES}


def _show(findings: Sequence[Finding], counts: Mapping[str, int]) -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    for finding in findings:
        level = Text(f"{finding.level.upper():9}", style=STYLES[finding.level])
        console.print(level, Text(f"{finding.check:14}{finding.message}"), sep="")
        if finding.fix:
            console.print(Text(f"{'':23}fix: {finding.fix}", style="cyan"))
    console.print(f"ok: {counts['ok']}, warnings: {counts['warning']}, errors: {counts['error']}")

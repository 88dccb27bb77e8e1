"""Cline's command line, in both of its kinds: configured for the service, and given a task."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.running_client import Ended, installed, run_client
from tests.support.ollama_replies import JsonObject
from tests.support.service import MODEL, Running

_QUIET = {"CLINE_NO_AUTO_UPDATE": "1"}


def describes_tools(chat: JsonObject) -> bool:
    """Whether a chat belongs to a task of the legacy kind."""
    return "<read_file>" in chat["messages"][0]["content"]


def events_in(stdout: str) -> list[dict[str, Any]]:
    """What it told, one JSON object a line."""
    return [json.loads(line) for line in stdout.splitlines() if line.startswith("{")]


@dataclass(frozen=True)
class Cline:
    """A client in a home of its own below `folder`, that works in `workspace`."""

    running: Running
    folder: Path
    workspace: Path

    async def sdk(self, task: str) -> Ended:
        """Let the SDK kind do a task, to its end."""
        cline, state = installed("cline").parent / ".bin" / "cline", self.folder / "state"
        (
            await self._run(cline, "auth", "--provider", "openai-compatible", *self._where(), "--data-dir", state)
        ).checked()
        return await self._run(cline, "--data-dir", state, "--json", task)

    async def legacy(self, task: str) -> Ended:
        """Let the legacy kind do a task, to its end."""
        cline, state = installed("cline-legacy") / "dist" / "cli.mjs", self.folder / "state"
        (await self._run("node", cline, "auth", "--provider", "openai", *self._where(), "--config", state)).checked()
        return await self._run("node", cline, "task", "-y", "--json", "--config", state, "-c", self.workspace, task)

    def _where(self) -> tuple[str, ...]:
        return ("--baseurl", self.running.openai_url, "--apikey", "sk-local", "--modelid", MODEL)

    async def _run(self, *command: str | Path) -> Ended:
        return await run_client(*command, cwd=self.workspace, home=self.folder / "home", variables=_QUIET)

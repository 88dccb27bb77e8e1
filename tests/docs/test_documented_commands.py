"""Every command in the pages is typed as it stands there, or named below with the reason why it is not."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import shlex
import sys
from pathlib import Path

import pytest
import typer

from tests.docs.pages import PAGES, ROOT, blocks
from tests.support.process import config_dir, environment_for
from tests.support.service import Running
from wire.terminal.commands import build_terminal
from wire.terminal.parts import Parts

LIMIT_S = 100
DEMO = ROOT / "notebooks" / "demo" / "ferry"
# What a command begins with, and why it is not typed here.
NOT_TYPED = {
    "make run": "installs, and serves until it is stopped; tests/test_server.py starts the same program",
    "make doctor": "installs; `python server.py doctor` is typed",
    "make .venv/.made": "makes an environment",
    "python3 -m venv": "makes an environment and installs gigabytes",
    ".venv/bin/python -m pip": "installs gigabytes",
    ".venv/bin/python server.py": "the environment's own path; `python server.py` is typed",
    "ollama pull": "downloads gigabytes",
    "sudo systemctl": "changes the system",
    "launchctl setenv": "macOS only",
    "setx": "Windows only",
    "cline": "make test-clients types it, with Cline installed",
    "ANTHROPIC_BASE_URL": "make test-clients runs Claude Code, with it installed",
    "make bench": "takes minutes",
    "python -m benchmarks.": "takes minutes; the modules are looked for below",
}
# Each once, however often it is shown.
SHOWN = list(dict.fromkeys(command for block in blocks("console") for command in block.commands))
POWERSHELL = [line for block in blocks("powershell") for line in block.text.splitlines() if line.strip()]
TYPED = [each for each in SHOWN if not each.startswith(tuple(NOT_TYPED))]
MENTIONED = sorted({code for page in PAGES for code in re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))})
EVERYWHERE = [*MENTIONED, *SHOWN]


@pytest.mark.skipif(sys.platform == "win32", reason="they are typed into a POSIX shell")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("command", TYPED)
async def test_a_command_does_what_it_says(command: str, running: Running, tmp_path: Path) -> None:
    words = command.replace("http://127.0.0.1:8000", running.base_url).replace("/home/you/project", str(DEMO))
    words = re.sub(r"^python ", f"{shlex.quote(sys.executable)} ", words)
    words = re.sub(r"^curl ", "curl --fail-with-body ", words)
    process = await asyncio.create_subprocess_shell(
        words,
        cwd=ROOT,
        env=environment_for(
            tmp_path,
            OLLAMA_BASE_URL=running.ollama.base_url,
            ROUTER_CONFIG_DIR=config_dir(tmp_path, memory={"embedder": "ollama"}),
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 0, stdout.decode() + stderr.decode()
    assert stdout.strip()
    if command.startswith("curl") or "--json" in command:
        assert "error" not in json.loads(stdout)


def test_what_is_not_typed_is_still_in_the_pages() -> None:
    shown = [*SHOWN, *POWERSHELL]
    assert [start for start in NOT_TYPED if not any(line.startswith(start) for line in shown)] == []


def test_powershell_lines_are_among_those_not_typed() -> None:
    assert [line for line in POWERSHELL if not line.startswith(tuple(NOT_TYPED))] == []


def test_every_target_of_make_that_is_named_is_there() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {found[1] for each in EVERYWHERE if (found := re.match(r"make ([a-z][a-z-]+)\b", each))}
    assert len(named) > 5
    assert named <= targets


def test_every_module_that_is_named_is_there() -> None:
    named = {found[1] for each in EVERYWHERE if (found := re.search(r"python -m ([\w.]+)", each))} - {"pip", "venv"}
    assert len(named) > 5
    assert [name for name in named if importlib.util.find_spec(name) is None] == []


def test_every_command_of_the_terminal_that_is_named_is_there(parts_of_nothing: Parts) -> None:
    terminal = typer.main.get_command(build_terminal(parts_of_nothing))
    lost = []
    for each in EVERYWHERE:
        if not (found := re.search(r"server\.py((?: [a-z]+)+)", each)):
            continue
        at: object = terminal
        for name in found[1].split():
            commands = getattr(at, "commands", None)
            if commands is None:
                break
            at = commands.get(name)
            if at is None:
                lost.append(each)
                break
    assert lost == []

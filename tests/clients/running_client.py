"""Starts a real client in a home of its own, and gives what it printed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

MODULES = Path(__file__).parent / "node_modules"
LIMIT_S = 100.0
_KEPT = ("PATH", "LANG", "TMPDIR")


@dataclass(frozen=True)
class Ended:
    """How a client's process ended."""

    code: int
    stdout: str
    stderr: str

    def checked(self) -> str:
        """What it printed, where it ended well."""
        assert self.code == 0, f"exit code {self.code}\n{self.stdout[-3000:]}\n{self.stderr[-3000:]}"
        return self.stdout


def installed(package: str) -> Path:
    """The folder of an npm package; the test fails, and says what to do, where it is not there."""
    folder = MODULES / package
    if not (folder / "package.json").is_file():
        pytest.fail(f"{package} is not installed: run `make test-clients`, which needs Node.js 20 or newer and npm.")
    return folder


async def run_client(*command: str | Path, cwd: Path, home: Path, variables: Mapping[str, str] | None = None) -> Ended:
    """Run to the end, at most `LIMIT_S`; nothing of the user's own settings is read or written."""
    await asyncio.to_thread(home.mkdir, exist_ok=True)
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {"HOME": str(home), "NO_COLOR": "1", "CI": "1", **(variables or {})}
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=cwd,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            stdout, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ended(process.returncode, stdout.decode(errors="replace"), stderr.decode(errors="replace"))

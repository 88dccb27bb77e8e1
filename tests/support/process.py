"""The service as a process of its own, as a user starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
SERVER = (sys.executable, str(ROOT / "server.py"))
LIMIT_S = 60
_KEPT = {"PATH", "SYSTEMROOT", "HOME", "TEMP"}


def environment_for(folder: Path, **variables: str) -> dict[str, str]:
    """Nothing of this shell's but what a process needs; a free port, indexes below `folder`."""
    kept = {key: value for key, value in os.environ.items() if key in _KEPT or key.startswith("COVERAGE")}
    return {**kept, "PORT": "0", "VECTOR_STORE_PATH": str(folder / "indexes"), "PYTHONUTF8": "1", **variables}


def config_dir(folder: Path, **sections: dict[str, Any]) -> str:
    """A configuration folder below `folder` with these sections of `server_config.yaml`, for `ROUTER_CONFIG_DIR`."""
    own = folder / "config"
    own.mkdir()
    (own / "models.yaml").write_bytes((ROOT / "config" / "models.yaml").read_bytes())
    (own / "server_config.yaml").write_text(yaml.safe_dump(sections), encoding="utf-8")
    return str(own)


@contextmanager
def serving(folder: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A running `server.py` in `folder`; killed at the end if it still runs."""
    process = subprocess.Popen(
        SERVER,
        cwd=folder,
        env=environment_for(folder, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        with process:
            yield process
    finally:
        process.kill()


def panel_of(process: subprocess.Popen[str]) -> str:
    """What the process shows once it serves; blocks until then."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("╰"):
            break
    return "".join(lines)


def url_in(panel: str) -> str:
    """The service's address without a path."""
    return next(word for word in panel.split() if word.endswith("/v1")).removesuffix("/v1")


def stop(process: subprocess.Popen[str], sent: signal.Signals = signal.SIGINT) -> tuple[int, str]:
    """Signal the process; its exit code and what it wrote to standard error."""
    process.send_signal(sent)
    _, stderr = process.communicate(timeout=LIMIT_S)
    return process.returncode, stderr


def run(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Start `server.py` where it is to end by itself."""
    return subprocess.run(
        SERVER,
        cwd=folder,
        env=environment_for(folder, **variables),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=LIMIT_S,
        check=False,
    )

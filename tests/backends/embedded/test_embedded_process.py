"""The child's life: it never outlives its parent, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from backends.embedded import launcher, spawn
from backends.embedded.launcher import EmbeddedBackend
from config.errors import BackendUnavailable

ROOT = Path(launcher.__file__).resolve().parents[2]
LIMIT_S = 30.0
PARENT = """
import asyncio
from backends.embedded.launcher import EmbeddedBackend
async def main():
    async with EmbeddedBackend() as backend:
        print(backend.base_url, flush=True)
        await backend.wait()
asyncio.run(main())
"""


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.embedded
async def test_start_close_and_start_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from a working directory that holds a hostile module of a needed name."""
    (tmp_path / "json.py").write_text("raise SystemExit(3)")
    (tmp_path / "backends").mkdir()
    monkeypatch.chdir(tmp_path)
    backend = EmbeddedBackend()
    await backend.start()
    try:
        pid, key = backend.pid, backend.headers
        assert pid is not None
        await backend.start()
        assert backend.pid == pid
        assert backend.window_tokens == 8192
        os.kill(pid, 9 if sys.platform != "win32" else 15)
        assert await backend.wait() != 0
        assert backend.returncode is not None
        await backend.start()
        assert backend.headers != key
        async with httpx.AsyncClient(base_url=backend.base_url, headers=backend.headers, trust_env=False) as http:
            assert (await http.get("/api/version")).status_code == 200
        second = backend.pid
        assert second is not None
    finally:
        await backend.close()
    await backend.close()
    assert gone(pid)
    assert gone(second)


@pytest.mark.embedded
def test_the_child_dies_with_a_parent_that_is_killed() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        try:
            assert httpx.get(url, trust_env=False).status_code == 401
        finally:
            parent.kill()
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            httpx.get(url, trust_env=False)
        except httpx.TransportError:
            return
        assert time.monotonic() < deadline, "the child still answers"


@pytest.mark.parametrize("when_s", [0.0, 0.05, 0.3])
async def test_cancelled_start_leaves_no_child(when_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawn, "command", lambda: [sys.executable, "-c", "import time; time.sleep(60)"])
    backend = EmbeddedBackend()
    starting = asyncio.create_task(backend.start())
    await asyncio.sleep(when_s)
    pid = backend.pid
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert backend.pid is None
    assert pid is None or gone(pid)


async def test_a_child_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys; sys.stderr.write('x' * 200_000 + '\\nno such model\\n'); sys.exit(7)"
    monkeypatch.setattr(spawn, "command", lambda: [sys.executable, "-c", code])
    with pytest.raises(BackendUnavailable, match=r"exit status 7.*[\s\S]*no such model"):
        await EmbeddedBackend().start()


async def test_a_child_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "START_TIMEOUT_S", 0.2)
    monkeypatch.setattr(spawn, "command", lambda: [sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(BackendUnavailable, match="did not start within"):
        await EmbeddedBackend().start()


async def test_missing_packages_say_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawn, "_REQUIRED", {"no_such_module": "no-such"})
    with pytest.raises(BackendUnavailable, match=r"no-such: run `pip install --no-deps -r requirements.txt`"):
        await EmbeddedBackend().start()


def test_importing_the_launcher_is_light() -> None:
    code = "import sys, backends.embedded.launcher; assert not {'xllamacpp', 'uvicorn', 'httpx'} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=LIMIT_S
    )

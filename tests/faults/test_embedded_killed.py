"""The real embedded backend, killed while it answers: the client is told, and the next request is served."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import CHAT, ask, running_service
from tests.support.sse_reader import read_answer

KILL = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL
# The tiny model ends its answers whenever it likes, unless their form holds it.
_NUMBERS = {"type": "array", "items": {"type": "integer"}, "minItems": 300}
LONG = {"type": "json_schema", "json_schema": {"name": "numbers", "schema": _NUMBERS}}


def embedded_processes() -> set[int]:
    children = psutil.Process().children()
    return {child.pid for child in children if "backends.embedded.serve" in child.cmdline()}


@pytest.mark.embedded
async def test_it_is_started_again_and_the_next_request_succeeds(ollama: ScriptedOllama, tmp_path: Path) -> None:
    backend = {"kind": "embedded", "probe_timeout_s": 10}
    server = {"hold_status_s": 30, "heartbeat_s": 30}
    others = embedded_processes()
    async with running_service(ollama, tmp_path, backend=backend, server=server) as running:
        long = ask("Count from one on.", stream=True, max_tokens=2000, response_format=LONG)
        async with running.http.stream("POST", CHAT, json=long, timeout=60) as answer:
            assert answer.status_code == 200
            (killed,) = embedded_processes() - others
            os.kill(killed, KILL)
            seen = read_answer(await answer.aread())
        assert seen.finish_reason == "error"
        assert seen.error is not None
        assert seen.error["code"] == "upstream_broken"
        async with asyncio.timeout(60):
            again = await running.http.post(CHAT, json=ask("Say hello.", max_tokens=8), timeout=60)
        assert again.status_code == 200
        assert again.json()["usage"]["completion_tokens"] > 0
        assert killed not in embedded_processes()

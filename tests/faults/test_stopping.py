"""SIGTERM: no new requests, running ones get their grace, then a clear end; and exit code 0."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support.process import config_dir, panel_of, serving, stop, url_in
from tests.support.scripted_ollama import Reply, ScriptedOllama
from tests.support.service import CHAT, ask
from tests.support.sse_reader import Answer, read_answer

TWO = Reply.text("a", "b").gate_after(1)
NO_MEMORY = {"enabled": False}  # the embedder takes long to load


async def test_a_service_that_is_told_to_stop_ends_what_runs_and_takes_nothing_new(
    ollama: ScriptedOllama, tmp_path: Path
) -> None:
    """It died of the signal itself (exit code -15), and refused the connections of clients that would have waited."""
    server = {"hold_status_s": 0, "shutdown_grace_s": 2}
    variables = {
        "OLLAMA_BASE_URL": ollama.base_url,
        "ROUTER_CONFIG_DIR": config_dir(tmp_path, server=server, memory=NO_MEMORY),
    }
    ollama.default(TWO)
    with serving(tmp_path, **variables) as process:
        base_url = url_in(await asyncio.to_thread(panel_of, process))
        async with httpx.AsyncClient(base_url=base_url, timeout=30) as client:

            async def stream(model: str) -> Answer:
                return read_answer((await client.post(CHAT, json=ask(stream=True, model=model))).content)

            whole = asyncio.create_task(stream("implementation"))
            await ollama.wait_held()
            process.send_signal(signal.SIGTERM)
            while (await client.get("/health/ready")).json()["reason"] != "stopping":
                pass
            refused = await client.post(CHAT, json=ask(model="memory_fast"))
            ollama.release()
            assert (await whole).text == "ab"
        stderr = (await asyncio.to_thread(process.communicate))[1]
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "backend_unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    assert process.returncode == 0
    assert "Traceback" not in stderr


async def test_at_the_end_of_the_grace_an_answer_is_told_to_be_broken_off(
    ollama: ScriptedOllama, tmp_path: Path
) -> None:
    server = {"shutdown_grace_s": 0}
    variables = {
        "OLLAMA_BASE_URL": ollama.base_url,
        "ROUTER_CONFIG_DIR": config_dir(tmp_path, server=server, memory=NO_MEMORY),
    }
    ollama.default(TWO)
    with serving(tmp_path, **variables) as process:
        base_url = url_in(await asyncio.to_thread(panel_of, process))
        async with (
            httpx.AsyncClient(base_url=base_url, timeout=30) as client,
            client.stream("POST", CHAT, json=ask(stream=True)) as answer,
        ):
            stopping = asyncio.create_task(asyncio.to_thread(stop, process, signal.SIGTERM))
            seen = read_answer(await answer.aread())
        code, stderr = await stopping
    assert (seen.text, seen.finish_reason) == ("a", "error")
    assert seen.error is not None
    assert seen.error["code"] == "backend_unavailable"
    assert code == 0
    assert "Traceback" not in stderr


async def test_while_the_embedder_loads_the_service_answers_says_so_and_can_be_stopped(
    ollama: ScriptedOllama, tmp_path: Path
) -> None:
    """The first answer waited for torch's import, and the interpreter aborted (exit code -6) where it ended in it."""
    with serving(tmp_path, OLLAMA_BASE_URL=ollama.base_url) as process:
        base_url = url_in(await asyncio.to_thread(panel_of, process))
        async with httpx.AsyncClient(base_url=base_url, timeout=30) as client:
            assert (await client.get("/health")).json()["embedder"]["state"] == "loading"
            assert (await client.post(CHAT, json=ask())).is_success
        code, stderr = await asyncio.to_thread(stop, process, signal.SIGTERM)
    assert (code, "terminate called" in stderr) == (0, False)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_service_that_is_stopped_before_it_has_begun_to_serve_ends_well(tmp_path: Path) -> None:
    """It died of the signal (exit code -15) for as long as its libraries were being imported."""
    with serving(tmp_path) as process:
        while "pydantic_core" not in Path(f"/proc/{process.pid}/maps").read_text():
            assert process.poll() is None
            time.sleep(0.01)
        assert stop(process, signal.SIGTERM) == (0, "")

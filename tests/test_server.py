"""The process a user starts: what it prints, how it refuses, how it ends."""

from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path

import httpx
import pytest

from tests.support.process import panel_of, run, serving, stop, url_in
from tests.support.scripted_ollama import ScriptedOllama


async def test_it_shows_what_to_paste_into_cline_and_ends_quietly(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama:
        with serving(tmp_path, OLLAMA_BASE_URL=ollama.base_url) as process:
            panel = await asyncio.to_thread(panel_of, process)
            base_url = url_in(panel)
            async with httpx.AsyncClient(base_url=base_url) as client:
                health = (await client.get("/health")).json()
            code, stderr = await asyncio.to_thread(stop, process)

    assert "cline-memory-router" in panel
    assert f"Base URL             {base_url}/v1" in panel
    assert "Context window size  200000" in panel
    assert "qwen2.5-coder:32b, 131,072 tokens" in panel
    assert f"nonein{tmp_path}" in "".join(re.findall(r"[^\s│]", panel))  # a long path is broken over lines
    assert health["backend"]["kind"] == "ollama"
    assert code == 0
    assert "Traceback" not in stderr


@pytest.mark.embedded
def test_without_an_ollama_it_says_that_the_embedded_backend_answers(tmp_path: Path, unused_tcp_port: int) -> None:
    bank = tmp_path / "memory-bank"
    bank.mkdir()
    for name in ("projectbrief.md", "progress.md"):
        (bank / name).write_text("# A\n\ntext\n", encoding="utf-8")
    with serving(tmp_path, OLLAMA_BASE_URL=f"http://127.0.0.1:{unused_tcp_port}") as process:
        panel = panel_of(process)
        code, stderr = stop(process)

    assert "Embedded backend, because no Ollama answers" in panel
    assert "it is no coding model" in panel
    assert "ollama pull qwen3:30b-a3b" in panel
    assert "2 files" in panel
    assert "embedded backend serves all roles" in stderr
    assert code == 0


def test_a_taken_port_is_named_with_another_to_try(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run(tmp_path, PORT=str(port))

    assert result.returncode == 2
    assert f"Cannot listen on 127.0.0.1 port {port}" in result.stderr
    assert f"PORT={port + 1}" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_it_does_not_listen_for_other_machines_without_a_key(tmp_path: Path, host: str) -> None:
    result = run(tmp_path, HOST=host)

    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "set API_KEY" in result.stderr
    assert result.stdout == ""


async def test_with_a_key_it_listens_for_them_and_shows_the_key_nowhere(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama:
        with serving(tmp_path, OLLAMA_BASE_URL=ollama.base_url, HOST="0.0.0.0", API_KEY="sk-7f3a") as process:
            panel = await asyncio.to_thread(panel_of, process)
            port = next(word for word in panel.split() if word.endswith("/v1")).split(":")[2].removesuffix("/v1")
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                assert (await client.get("/health")).status_code == 401
                assert (await client.get("/health", headers={"authorization": "Bearer sk-7f3a"})).status_code == 200
            code, stderr = await asyncio.to_thread(stop, process)

    assert code == 0
    assert "the one in API_KEY" in panel
    assert "not encrypted" in stderr
    assert "sk-7f3a" not in panel + stderr


def test_a_wrong_value_is_one_line_with_its_source(tmp_path: Path) -> None:
    result = run(tmp_path, PORT="70000")

    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "environment variable PORT (server.port) = '70000'" in result.stderr


async def test_a_folder_that_cannot_be_written_costs_the_sessions_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    async with ScriptedOllama() as ollama:
        with serving(
            tmp_path, OLLAMA_BASE_URL=ollama.base_url, VECTOR_STORE_PATH=str(tmp_path / "file" / "indexes")
        ) as process:
            panel = await asyncio.to_thread(panel_of, process)
            base_url = url_in(panel)
            question = {"model": "cline-memory-router", "messages": [{"role": "user", "content": "hi"}]}
            async with httpx.AsyncClient(base_url=base_url) as client:
                answer = await client.post("/v1/chat/completions", json=question)
                health = (await client.get("/health")).json()
            await asyncio.to_thread(stop, process)

    assert answer.status_code == 200
    assert health["status"] == "degraded"
    assert not health["sessions"]["kept"]
    assert "VECTOR_STORE_PATH" in health["sessions"]["note"]


async def test_no_prompt_goes_to_a_tracing_service(tmp_path: Path) -> None:
    """Who traces other work with LangSmith has these variables set; prompts and memory banks went there."""
    async with ScriptedOllama() as ollama, ScriptedOllama() as sink:
        tracing = {
            "LANGSMITH_TRACING": "true",
            "LANGCHAIN_TRACING_V2": "true",
            "LANGSMITH_API_KEY": "k",
            "LANGSMITH_ENDPOINT": sink.base_url,
        }
        with serving(tmp_path, OLLAMA_BASE_URL=ollama.base_url, **tracing) as process:
            panel = await asyncio.to_thread(panel_of, process)
            base_url = url_in(panel)
            question = {"model": "cline-memory-router", "messages": [{"role": "user", "content": "hi"}]}
            asked = {"input": {"messages": [{"type": "human", "content": "hi"}]}}
            async with httpx.AsyncClient(base_url=base_url) as client:
                assert (await client.post("/v1/chat/completions", json=question)).status_code == 200
                assert (await client.post("/router/invoke", json=asked)).status_code == 200
                assert (await client.post("/router/stream", json=asked)).status_code == 200
            await asyncio.to_thread(stop, process)
        assert len(ollama.chats) == 3
        assert sink.requests == []

"""`python -m backends.doctor` as a user starts it: lines or JSON, and the exit code."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from tests.support.process import LIMIT_S, ROOT, config_dir, environment_for
from tests.support.scripted_ollama import REFERENCE_MODELS, ScriptedOllama


def doctor(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backends.doctor", *arguments],
        cwd=ROOT,
        env=environment_for(folder, **variables),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=LIMIT_S,
        check=False,
    )


async def test_it_tells_what_is_wrong_and_the_fix(tmp_path: Path) -> None:
    own = config_dir(tmp_path, memory={"enabled": False})  # the embedder takes long to load
    async with ScriptedOllama(REFERENCE_MODELS[:2]) as ollama:
        told = await asyncio.to_thread(doctor, tmp_path, OLLAMA_BASE_URL=ollama.base_url, ROUTER_CONFIG_DIR=own)
        assert ollama.chats == ollama.preloads == []
    assert told.returncode == 1
    lines = told.stdout.splitlines()
    assert f"OK       Ollama        version 0.13.0 answers at {ollama.base_url}" in lines
    assert "ERROR    models        memory_analysis: llama4:16x17b is missing, implementation stands in" in lines
    assert "                       fix: ollama pull llama4:16x17b" in lines
    assert "OK       Cline         Model ID: cline-memory-router" in lines
    assert "OK       Cline         Context window size: 131072" in lines
    assert lines[-1].endswith(" errors: 1")


async def test_as_json_and_with_warnings_only(tmp_path: Path) -> None:
    own = config_dir(tmp_path, memory={"enabled": False})
    async with ScriptedOllama() as ollama:
        told = await asyncio.to_thread(
            doctor, tmp_path, "--json", OLLAMA_BASE_URL=ollama.base_url, ROUTER_CONFIG_DIR=own
        )
    report = json.loads(told.stdout)
    assert (told.returncode, report["counts"]["error"]) == (0, 0)
    assert {"check", "level", "message", "fix"} == report["findings"][0].keys()
    checks = {finding["check"] for finding in report["findings"]}
    assert {
        "Ollama",
        "models",
        "windows",
        "other clients",
        "memory",
        "tools",
        "stores",
        "memory bank",
        "Cline",
    } <= checks
    assert all(finding["fix"] for finding in report["findings"] if finding["level"] != "ok")


def test_a_wrong_configuration_is_the_first_thing_to_mend(tmp_path: Path) -> None:
    told = doctor(tmp_path, PORT="70000")
    assert told.returncode == 1
    assert "ERROR    configuration environment variable PORT (server.port) = '70000'" in told.stdout

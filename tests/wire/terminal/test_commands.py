"""The command line as a person types it: what it prints, and with which exit code it ends."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import server
from config.errors import ConfigError
from config.load import load_settings
from config.settings import Settings
from graphs.session_store import SESSIONS_FILE
from retrievers.memory import MemoryService
from retrievers.types import EmbedderStatus
from tests.retrievers.memory_support import WordEmbedder, count_words, two_core_files, words, write_bank
from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import running_service, settings_for
from wire.terminal.commands import build_terminal
from wire.terminal.parts import EXIT_FAILED, EXIT_USAGE, Parts


class LateEmbedder(WordEmbedder):
    """Is loaded once it was looked at a few times."""

    looks = 0

    def status(self) -> EmbedderStatus:
        self.looks += 1
        if self.looks > 5:
            self.state = "ready"
        return super().status()


def parts_over(settings: Settings, embedder: WordEmbedder | None = None, served: list[Settings] | None = None) -> Parts:
    @asynccontextmanager
    async def open_memory(wanted: Settings) -> AsyncIterator[MemoryService]:
        memory = MemoryService(
            vector_store_path=wanted.paths.vector_store_path,
            embedder=embedder or WordEmbedder(),
            count_tokens=count_words,
        )
        yield memory
        await memory.aclose()

    return Parts(
        "1.2.3",
        lambda: settings,
        (served if served is not None else []).append,
        server.open_router,
        open_memory,
        server.open_sessions,
    )


def typed(parts: Parts, *arguments: str) -> Result:
    return CliRunner().invoke(build_terminal(parts), arguments)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(environment={"VECTOR_STORE_PATH": str(tmp_path / "vector_stores"), "OLLAMA_BASE_URL": ""})


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    gauge = {
        "systemPatterns.md": f"# Patterns\n\n## Gauges\n\nGauges report <b>each</b> minute.\n\n## Else\n{words(400)}"
    }
    write_bank(tmp_path / "project" / "memory-bank", two_core_files() | gauge)
    return tmp_path / "project"


@pytest.mark.parametrize("arguments", [(), ("run",)])
def test_the_service_is_what_runs_without_a_command(settings: Settings, arguments: tuple[str, ...]) -> None:
    served: list[Settings] = []
    assert typed(parts_over(settings, served=served), *arguments).exit_code == 0
    assert served == [settings]


def test_a_mistyped_command_is_refused_and_nothing_is_served(settings: Settings) -> None:
    served: list[Settings] = []
    result = typed(parts_over(settings, served=served), "runn")
    assert (result.exit_code, served) == (EXIT_USAGE, [])
    assert "No such command 'runn'" in result.stderr


async def test_route_tells_who_would_answer_without_asking_a_model(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama:
        parts = parts_over(settings_for(ollama.base_url, tmp_path))
        shown = await asyncio.to_thread(typed, parts, "route", "implement the parser for tide tables")
        scripted = await asyncio.to_thread(typed, parts, "route", "@deep what is this about?", "--json")
        chats = list(ollama.chats)
    assert shown.exit_code == 0, shown.stderr
    assert "implementation" in shown.stdout
    assert "chosen" in shown.stdout
    answer = json.loads(scripted.stdout)
    assert answer["decision"]["role"] == "memory_analysis"
    assert answer["ledger"]["window"] == 200_000
    assert chats == []


async def test_route_says_in_one_sentence_that_no_model_can_be_reached(tmp_path: Path, unused_tcp_port: int) -> None:
    parts = parts_over(settings_for(f"http://127.0.0.1:{unused_tcp_port}", tmp_path))
    result = await asyncio.to_thread(typed, parts, "route", "hello")
    assert result.exit_code == EXIT_FAILED
    assert "ollama serve" in result.stderr
    assert "Traceback" not in result.output


def test_memory_status_lists_the_files(settings: Settings, workspace: Path) -> None:
    result = typed(parts_over(settings), "memory", "status", "-w", str(workspace))
    assert result.exit_code == 0, result.stderr
    assert "3 files" in result.stdout
    assert "memory-bank/projectbrief.md" in result.stdout


def test_memory_search_indexes_first_and_shows_text_as_it_is(settings: Settings, workspace: Path) -> None:
    parts = parts_over(settings)
    result = typed(parts, "memory", "search", "how often do gauges report", "-w", str(workspace), "--most", "1")
    assert result.exit_code == 0, result.stderr
    assert "by words and vectors" in result.stdout
    assert "memory-bank/systemPatterns.md" in result.stdout
    assert "Gauges report <b>each</b> minute." in result.stdout


def test_memory_status_and_search_know_of_vectors_that_were_made_before(settings: Settings, workspace: Path) -> None:
    assert typed(parts_over(settings), "memory", "index", "-w", str(workspace)).exit_code == 0
    status = json.loads(typed(parts_over(settings), "memory", "status", "-w", str(workspace), "--json").stdout)
    assert status["bank"]["vectors"] == status["bank"]["chunks"]
    late = parts_over(settings, LateEmbedder(state="loading"))
    found = json.loads(typed(late, "memory", "search", "gauges", "-w", str(workspace), "--json").stdout)
    assert found["used_vectors"]


def test_an_empty_question_is_a_mistake(settings: Settings, workspace: Path) -> None:
    result = typed(parts_over(settings), "memory", "search", " ", "-w", str(workspace))
    assert (result.exit_code, result.stderr) == (EXIT_USAGE, "The question is empty: say what to look for.\n")


def test_memory_index_makes_every_vector_and_says_so(settings: Settings, workspace: Path) -> None:
    embedder = WordEmbedder()
    result = typed(parts_over(settings, embedder), "memory", "index", "-w", str(workspace), "--json")
    indexed = json.loads(result.stdout)
    assert indexed["vectors"] == indexed["chunks"] > 1
    made = len(embedder.embedded)
    assert typed(parts_over(settings, embedder), "memory", "index", "-w", str(workspace)).exit_code == 0
    assert len(embedder.embedded) == made


def test_memory_index_fails_where_there_is_no_embedder(settings: Settings, workspace: Path) -> None:
    result = typed(parts_over(settings, WordEmbedder(state="failed")), "memory", "index", "-w", str(workspace))
    assert result.exit_code == EXIT_FAILED
    assert "Install the words." in result.stderr


def test_a_workspace_without_a_bank_is_a_mistake_in_what_was_typed(settings: Settings, tmp_path: Path) -> None:
    result = typed(parts_over(settings), "memory", "status", "-w", str(tmp_path))
    assert result.exit_code == EXIT_USAGE
    assert str(tmp_path) in result.stderr
    assert "make memory-bank/projectbrief.md" in result.stderr


@pytest.mark.parametrize("command", ["route", "memory search"])
def test_a_workspace_that_is_not_there_is_a_mistake(settings: Settings, tmp_path: Path, command: str) -> None:
    """`route` took it for a project without a memory bank."""
    result = typed(parts_over(settings), *command.split(), "x", "-w", str(tmp_path / "nowhere"))
    assert result.exit_code == EXIT_USAGE
    assert "does not exist" in result.stderr


async def test_sessions_lists_what_was_asked_last_first(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path) as running:
        for conversation in ("older", "newer"):
            (await running.chat(f"hello {conversation}", headers={"x-session-id": conversation})).raise_for_status()
        with sqlite3.connect(running.settings.paths.vector_store_path / SESSIONS_FILE) as records:
            # The store keeps whole seconds.
            records.execute(
                "UPDATE store SET updated_at = datetime('now', '-1 hour') WHERE CAST(value AS TEXT) LIKE '%older%'"
            )
        records.close()
        parts = parts_over(running.settings)
        listed = json.loads((await asyncio.to_thread(typed, parts, "sessions", "--json")).stdout)
        table = (await asyncio.to_thread(typed, parts, "sessions", "--most", "1")).stdout
    assert [each["conversation"] for each in listed] == ["newer", "older"]
    assert "newer" in table
    assert "older" not in table


def test_config_show_hides_the_key(settings: Settings) -> None:
    secret = settings.model_validate(settings.model_dump() | {"qdrant_api_key": "hunter2-and-more"})
    for arguments in (("config", "show"), ("config", "show", "--json")):
        result = typed(parts_over(secret), *arguments)
        assert result.exit_code == 0
        assert "hunter2" not in result.stdout
        assert "qwen2.5-coder:32b" in result.stdout


def test_the_version_is_told_without_settings(settings: Settings) -> None:
    served: list[Settings] = []
    result = typed(parts_over(settings, served=served), "--version")
    assert (result.exit_code, result.stdout, served) == (0, "cline-memory-router 1.2.3\n", [])


def test_config_check_ends_with_2_and_the_mistake(settings: Settings) -> None:
    assert typed(parts_over(settings), "config", "check").exit_code == 0

    def fails() -> Settings:
        raise ConfigError("server.port = 'x': input should be a valid integer.")

    broken = replace(parts_over(settings), load_settings=fails)
    result = typed(broken, "config", "check")
    assert result.exit_code == EXIT_USAGE
    assert result.stderr == "server.port = 'x': input should be a valid integer.\n"

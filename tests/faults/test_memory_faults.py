"""What fails of memory costs memory, and is told; never the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog.testing

from tests.support.scripted_ollama import Reply, ScriptedOllama
from tests.support.service import running_service

QUESTION = "which database do we use for sessions?"
FACT = "Sessions are kept in SQLite."


def bank_in(folder: Path) -> Path:
    """A bank that is too large to go in whole."""
    bank = folder / "project" / "memory-bank"
    bank.mkdir(parents=True)
    sections = "\n\n".join(f"## Part {number}\n\n{'words of no interest ' * 60}" for number in range(60))
    (bank / "projectbrief.md").write_text(f"# Brief\n\n{sections}", encoding="utf-8")
    (bank / "systemPatterns.md").write_text(f"# Patterns\n\n## Database\n\n{FACT}\n", encoding="utf-8")
    return bank.parent


async def asked(ollama: ScriptedOllama, folder: Path, **changes: Any) -> tuple[str, str | None]:
    """What the model was shown, and the log's note on memory."""
    memory = {"enabled": True, "embedder": "ollama", "whole_bank_tokens": 1000, **changes}
    workspace = {"X-Workspace": str(bank_in(folder))}
    async with running_service(ollama, folder, memory=memory) as running:
        with structlog.testing.capture_logs() as lines:
            answer = await running.chat(QUESTION, headers=workspace)
        assert answer.status_code == 200
    line = next(line for line in lines if line["event"] == "request")
    return str(ollama.chats[-1]["messages"][-1]["content"]), line["memory_note"]


async def test_without_an_embedder_words_find_the_passage(ollama: ScriptedOllama, tmp_path: Path) -> None:
    ollama.script_embed(*[Reply.http(500, "boom")] * 50)
    shown, note = await asked(ollama, tmp_path)
    assert FACT in shown
    assert note


async def test_without_a_place_for_vectors_words_find_the_passage(ollama: ScriptedOllama, tmp_path: Path) -> None:
    (tmp_path / "vector_stores").write_text("a file in the folder's place", encoding="utf-8")
    shown, _ = await asked(ollama, tmp_path)
    assert FACT in shown


async def test_a_bank_that_cannot_be_read_costs_the_memory(ollama: ScriptedOllama, tmp_path: Path) -> None:
    shown, note = await asked(ollama, tmp_path, workspace_roots=[str(tmp_path / "elsewhere")])
    assert shown == QUESTION
    assert note

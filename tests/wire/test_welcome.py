"""What the terminal shows at start, as a person with a small terminal reads it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from backends.types import BackendKind, BackendStatus, ModelCard
from config.schema import ROLES, Role
from config.settings import Settings
from retrievers.types import BankStatus
from tests.support.service import settings_for
from wire.welcome import welcome

URL = "http://127.0.0.1:8000"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for("http://localhost:11434", tmp_path)


def card(role: Role, settings: Settings) -> ModelCard:
    return ModelCard(
        role,
        settings.models.roles[role].model,
        window_tokens=40_960,
        answer_limit_tokens=4_096,
        options={},
        tools=True,
        vision=False,
        thinking=False,
        think=None,
    )


def shown(settings: Settings, kind: BackendKind, *, reason: str = "", bank: BankStatus | None = None) -> str:
    models = {} if kind == "none" else {role: card(role, settings) for role in ROLES}
    missing = {} if kind == "ollama" else {role: f"ollama pull {settings.models.roles[role].model}" for role in ROLES}
    status = BackendStatus(kind, "http://localhost:11434", "0.13.0", reason, models, missing)
    console = Console(width=80, file=StringIO(), record=True)
    console.print(welcome(settings, URL, status, bank))
    return console.export_text()


@pytest.mark.parametrize(
    "line",
    [
        f"Status page   {URL}/ ",
        f"Chat          {URL}/chat/playground/ ",
        f"Base URL             {URL}/v1 ",
        "Context window size  40960 ",
        "memory_fast      qwen3:30b-a3b, 40,960 tokens",
        "Ollama 0.13.0 at http://localhost:11434",
        "/project/memory-bank: 2 files, 12,345 bytes",
    ],
)
def test_what_is_there(settings: Settings, line: str) -> None:
    bank = BankStatus(Path("/project"), Path("/project/memory-bank"), files=2, size_bytes=12_345)
    assert line in shown(settings, "ollama", bank=bank)


def test_the_embedded_backend_is_not_taken_for_a_coding_model(settings: Settings) -> None:
    text = shown(settings, "embedded", reason="no Ollama answers at http://localhost:11434")
    assert "Embedded backend, because no Ollama answers" in text
    assert "it is no coding model" in text
    assert "ollama pull qwen2.5-coder:32b" in text


def test_without_a_model_it_says_why_and_what_to_type(settings: Settings) -> None:
    text = shown(settings, "none", reason="Ollama has none of the models")
    assert "No model: Ollama has none of the models" in text
    assert "ollama pull qwen3:30b-a3b" in text
    assert "told here once a model is there" in text
    assert "switched off" in text

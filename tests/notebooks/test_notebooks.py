"""Every notebook runs on a fresh machine: without an Ollama, on the embedded backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.support.notebooks import FOLDER, run_notebook

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def _printed(notebook: Any) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "".join(output.get("text", "") for output in outputs)


def test_there_are_notebooks() -> None:
    assert [path.name for path in NOTEBOOKS] == ["quickstart.ipynb"]


@pytest.mark.embedded
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("default::DeprecationWarning", "default::ResourceWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.name))
def test_a_notebook_runs_as_committed(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("OLLAMA_BASE_URL", f"http://127.0.0.1:{unused_tcp_port}")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    printed = _printed(run_notebook(path))

    assert "role:    memory_fast" in printed
    assert "memory-bank/activeContext.md" in printed
    assert "answer:" in printed
    assert "tokens read" in printed


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.name))
def test_a_notebook_is_committed_with_its_outputs(path: Path) -> None:
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    assert "tokens read" in _printed(notebook)
    assert not [cell for cell in notebook.cells if cell.cell_type == "code" and cell.execution_count is None]

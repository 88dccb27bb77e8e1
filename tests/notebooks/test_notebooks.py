"""Every notebook runs on a fresh machine: without an Ollama, on the embedded backend."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.support.notebooks import FOLDER, run_notebook

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# What each prints, and how many figures it draws.
SHOWN: Mapping[str, tuple[tuple[str, ...], int]] = {
    "memory": (("memory-bank/decisionLog.md", "<project_notes>", "all find the same: True"), 2),
    "quickstart": (("role:    memory_fast", "memory-bank/activeContext.md", "answer:", "tokens read"), 0),
    "routing": (("94 requests", "keywords only", "this router"), 4),
    "sessions": (("3 days", "hours waited", "ours"), 3),
}
LARGEST_BYTES = 400_000


def _outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def _assert_shows(notebook: Any, name: str) -> None:
    outputs = _outputs(notebook)
    printed = "".join(output.get("text", "") for output in outputs)
    texts, figures = SHOWN[name]
    assert [text for text in texts if text not in printed] == []
    assert sum("image/png" in output.get("data", {}) for output in outputs) == figures
    assert [output for output in outputs if output.get("name") == "stderr"] == []


def test_there_are_notebooks() -> None:
    assert {path.stem for path in NOTEBOOKS} == SHOWN.keys()


@pytest.mark.embedded
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("default::DeprecationWarning", "default::ResourceWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.stem))
def test_a_notebook_runs_as_committed(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("OLLAMA_BASE_URL", f"http://127.0.0.1:{unused_tcp_port}")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    _assert_shows(run_notebook(path), path.stem)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.stem))
def test_a_notebook_is_committed_with_its_outputs(path: Path) -> None:
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    _assert_shows(notebook, path.stem)
    assert not [cell for cell in notebook.cells if cell.cell_type == "code" and cell.execution_count is None]
    shown = str([output.get("text", output.get("data")) for output in _outputs(notebook)])
    assert not re.search(r"(?<![\w/.])/(?:home|root|tmp|work|Users|var)/", shown), "a path of the machine it ran on"
    assert path.stat().st_size < LARGEST_BYTES

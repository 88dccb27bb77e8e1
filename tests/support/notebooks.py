"""Runs the notebooks as a person would; `python -m tests.support.notebooks` keeps their outputs in the repository."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
CELL_TIMEOUT_S = 300


def run_notebook(path: Path) -> Any:
    """Execute in the notebook's own folder; raises `CellExecutionError` where a cell does."""
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    return notebook


def main() -> None:
    """Run all notebooks without an Ollama and write their outputs back, without what changes with every run."""
    os.environ["OLLAMA_BASE_URL"] = "http://127.0.0.1:9"
    for path in sorted(FOLDER.glob("*.ipynb")):
        notebook = run_notebook(path)
        for cell in notebook.cells:
            cell.get("metadata", {}).pop("execution", None)
        notebook.metadata.get("language_info", {}).pop("version", None)
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
        print(path.name)


if __name__ == "__main__":
    main()

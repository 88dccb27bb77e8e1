"""Importing does nothing, and what is drawn in docstrings is what is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import config
from config import errors
from config.errors import RouterError

ROOT = Path(config.__file__).parents[1]
PACKAGES = ("config", "retrievers", "backends", "chains", "graphs", "wire")
PROBE = """
import importlib, pkgutil, socket, sys, threading

def refuse(*_, **__):
    raise SystemExit("a socket was opened")

# `bind` is left: urllib3, below langchain, asks with it whether there is IPv6.
socket.socket.connect = socket.socket.connect_ex = socket.socket.listen = socket.getaddrinfo = refuse
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(getattr(package, "__path__", []), name + "."):
        if not module.name.endswith((".__main__", ".stores.faiss")) and module.name not in CHILD_ONLY:
            importlib.import_module(module.name)
heavy = {"torch", "sentence_transformers", "faiss", "xllamacpp", "transformers"} & set(sys.modules)
threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
print(sorted(heavy), threads)
"""
START = """
import sys
import server
server.build_app(server.load_settings(environment={}))
print(sorted({"bm25s", "jinja2", "langchain_core.prompts", "langserve", "scipy"} & set(sys.modules)))
"""
CHILD_ONLY = "CHILD_ONLY = {'backends.embedded.llama', 'backends.embedded.serve'}\n"
HOSTILE = "PORT=no number\nOLLAMA_BASE_URL=http://192.0.2.1:1\nROUTER_CONFIG_DIR=/nowhere\nLOG_LEVEL=loud\n"


def run_python(folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "SYSTEMDRIVE") if name in os.environ}
    environment = kept | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with a `.env` that would break any start."""
    (tmp_path / ".env").write_text(HOSTILE, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("names", [("config",), ("graphs",), (*PACKAGES, "server")], ids=" ".join)
def test_importing_does_nothing(folder: Path, names: tuple[str, ...]) -> None:
    done = run_python(folder, CHILD_ONLY + PROBE, *names)
    assert (done.returncode, done.stdout) == (0, "[] []\n"), done.stderr
    assert [path.name for path in folder.iterdir()] == [".env"]


def test_a_start_waits_for_nothing_that_a_first_chat_can_do_without(tmp_path: Path) -> None:
    done = run_python(tmp_path, START)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_every_package_is_typed() -> None:
    for name in PACKAGES:
        assert (ROOT / name / "py.typed").is_file()


def drawn_tree() -> dict[str, str | None]:
    """Class to parent, as drawn at the top of `config/errors.py`."""
    parents: dict[str, str | None] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ((?:│   |    )*)(?:[├└]── )?([A-Z]\w+)", line):
            name = match.group(2)
            depth = line.index(name) // 4 - 1
            parents[name] = above[depth - 1] if depth else None
            above[depth:] = [name]
    return parents


def class_tree(cls: type[RouterError], parent: str | None = None) -> dict[str, str | None]:
    tree = {cls.__name__: parent}
    for below in cls.__subclasses__():
        if below.__module__ == errors.__name__:
            tree |= class_tree(below, cls.__name__)
    return tree


def test_the_tree_of_errors_is_the_one_that_is_drawn() -> None:
    assert drawn_tree() == class_tree(RouterError)


def test_errors_of_ours_live_in_one_file_and_say_what_they_mean() -> None:
    for name in drawn_tree():
        cls = getattr(errors, name)
        assert cls.__doc__
        assert cls("A sentence.").message == str(cls("A sentence.")) == "A sentence."

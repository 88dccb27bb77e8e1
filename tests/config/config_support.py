"""The shipped files, and folders of changed copies of them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

import config

SHIPPED = Path(config.__file__).parent
MODELS = "models.yaml"
SERVER = "server_config.yaml"


def shipped(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((SHIPPED / name).read_text(encoding="utf-8"))
    return content


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of `base` with `changes` laid over it, mapping by mapping."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def write_config(folder: Path, *, models: dict[str, Any] | None = None, server: dict[str, Any] | None = None) -> Path:
    """Both files as shipped, with these changes, in `folder`."""
    folder.mkdir(exist_ok=True)
    for name, changes in ((MODELS, models), (SERVER, server)):
        text = yaml.safe_dump(merged(shipped(name), changes or {}), allow_unicode=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder

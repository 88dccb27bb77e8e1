"""What an examination of the machine finds: one line each, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` names what was looked at; `fix` is what to do, None where nothing has to be done."""

    check: str
    level: Level
    message: str
    fix: str | None = None

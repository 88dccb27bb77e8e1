"""Which folders may be read: those of the person who runs the service, or those below `workspace_roots`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

SUPERUSER = 0


def _running_user() -> int | None:
    return os.geteuid() if hasattr(os, "geteuid") else None


@dataclass(frozen=True, slots=True)
class Access:
    """With `roots`, any folder in one of them and no other; without, any folder that belongs to `user_id`.

    `user_id` is the user that the service runs as; None, as on Windows, and the superuser may read any folder.
    """

    roots: tuple[Path, ...] = ()
    user_id: int | None = field(default_factory=_running_user)

    def refusal(self, folder: Path) -> str | None:
        """One sentence on why `folder`, its links followed, may not be read; None if it may or is not there."""
        if self.roots:
            inside = self._is_in_a_root(folder)
            return None if inside else "The workspace lies outside `workspace_roots`, so its memory bank was not read."
        if self.user_id is None or self.user_id == SUPERUSER:
            return None
        try:
            owner = folder.stat().st_uid
        except (OSError, ValueError):
            return None
        if owner == self.user_id:
            return None
        return (
            "The workspace belongs to another user, so its memory bank was not read: list a folder above it in "
            "`workspace_roots` to allow that."
        )

    def _is_in_a_root(self, folder: Path) -> bool:
        try:
            real = folder.resolve()
            return any(real.is_relative_to(root.expanduser().resolve()) for root in self.roots)
        except (OSError, ValueError, RuntimeError):
            return False

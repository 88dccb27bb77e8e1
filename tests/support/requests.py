"""Requests as coding agents send them: our own small ones, and the captured ones where they are at hand.

Ours live in `cline/*.json` as `{"headers", "body", "expect"}`. The conventions of `expect`:

- `person_text` is what the person wrote last, without tags, notices, boilerplate; "" where nobody speaks.
- `mode` is "none" where nothing in the request says which mode holds.
- `from_machine`: the newest message is a tool's result, an image that a tool read, or the agent's own text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

OWN = Path(__file__).parent / "cline"
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "cline_requests"


@dataclass(frozen=True)
class Expected:
    """What a parser should find in a request."""

    person_text: str
    mode: Literal["plan", "act", "yolo", "none"]
    workspace: str | None
    from_machine: bool
    dialect: Literal["cline_sdk", "cline_legacy", "plain"]


@dataclass(frozen=True)
class CapturedRequest:
    """One request; `expect` is None for captured ones, whose ground truth nobody wrote down."""

    name: str
    headers: dict[str, str]
    body: dict[str, Any]
    expect: Expected | None = None

    def __str__(self) -> str:
        return self.name


def load_requests() -> list[CapturedRequest]:
    """Our own requests, in the order of their names; each has its `expect`."""
    return _load(OWN)


def load_request(name: str) -> CapturedRequest:
    return _read(OWN / f"{name}.json")


def shared_requests() -> list[CapturedRequest]:
    """The captured requests beside the repository; empty where they are missing, see `skip_reason`."""
    return _load(SHARED)


def skip_reason() -> str | None:
    """Why a test over `shared_requests` cannot run here, or None."""
    return None if SHARED.is_dir() else "the captured requests (../shared/data/cline_requests) are not here"


def _load(folder: Path) -> list[CapturedRequest]:
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def _read(path: Path) -> CapturedRequest:
    raw = json.loads(path.read_text(encoding="utf-8"))
    expect = Expected(**raw["expect"]) if "expect" in raw else None
    return CapturedRequest(path.stem, raw["headers"], raw["body"], expect)

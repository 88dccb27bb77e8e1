"""What a handler gives back to the ASGI front, and the one error it may raise."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any


class ApiError(Exception):
    """Answered as `{"error": message}`: an HTTP status before the first byte, one more line after it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class JsonReply:
    """One JSON object."""

    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TextReply:
    """Plain text, as Ollama's `GET /`."""

    text: str


@dataclass(frozen=True, slots=True)
class LinesReply:
    """NDJSON; the status line waits for the first line, so that early errors keep their status."""

    lines: AsyncGenerator[Mapping[str, Any], None]


Reply = JsonReply | TextReply | LinesReply

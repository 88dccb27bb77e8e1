"""Ollama's management routes: which models there are, what one is, which are loaded."""

from __future__ import annotations

import asyncio
from typing import Any

from backends.embedded.chat_request import parse_model_name, parse_object
from backends.embedded.model import MODEL_NAME, LoadedModel, timestamp
from backends.embedded.replies import JsonReply, TextReply

VERSION = "0.0.0-embedded"
_MILLION = 1_000_000


class Management:
    """Handlers; the file's digest is worked out on first use and kept."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._digest: str | None = None

    async def root(self, _: bytes) -> TextReply:
        """`GET /`."""
        return TextReply("Ollama is running")

    async def version(self, _: bytes) -> JsonReply:
        """`GET /api/version`."""
        return JsonReply({"version": VERSION})

    async def tags(self, _: bytes) -> JsonReply:
        """`GET /api/tags`."""
        return JsonReply({"models": [await self._entry() | {"modified_at": timestamp(self._model.file.modified_at)}]})

    async def ps(self, _: bytes) -> JsonReply:
        """`GET /api/ps`; see `keep_alive` for what "loaded" means here."""
        expires_at = self._model.residency.expires_at()
        if expires_at is None:
            return JsonReply({"models": []})
        running = {
            "expires_at": timestamp(expires_at),
            "size_vram": 0,
            "context_length": self._model.window_tokens,
        }
        return JsonReply({"models": [await self._entry() | running]})

    async def show(self, body: bytes) -> JsonReply:
        """`POST /api/show`; `model_info` is the GGUF's own metadata."""
        self._model.check_name(parse_model_name(parse_object(body)))
        file = self._model.file
        return JsonReply(
            {
                "license": file.metadata.get("general.license", ""),
                "template": self._model.template,
                "details": self._details(),
                "model_info": dict(file.metadata) | {"general.parameter_count": file.parameter_count},
                "capabilities": ["completion", "tools"],
                "modified_at": timestamp(file.modified_at),
            }
        )

    async def _entry(self) -> dict[str, Any]:
        if self._digest is None:
            self._digest = await asyncio.to_thread(self._model.file.sha256)
        return {
            "name": MODEL_NAME,
            "model": MODEL_NAME,
            "size": self._model.file.size_bytes,
            "digest": self._digest,
            "details": self._details(),
        }

    def _details(self) -> dict[str, Any]:
        family = self._model.file.architecture
        return {
            "parent_model": "",
            "format": "gguf",
            "family": family,
            "families": [family],
            "parameter_size": f"{self._model.file.parameter_count / _MILLION:.2f}M",
            "quantization_level": self._model.quantization,
        }

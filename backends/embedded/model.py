"""The one model this backend serves, as its handlers see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from backends.embedded.gguf import ModelFile
from backends.embedded.keep_alive import Residency
from backends.embedded.llama import LlamaServer
from backends.embedded.replies import ApiError

MODEL_NAME = "smollm2:135m"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """`window_tokens` is what llama.cpp reserved memory for; a request may ask for less, never for more."""

    file: ModelFile
    template: str
    quantization: str
    window_tokens: int
    llama: LlamaServer
    residency: Residency

    def check_name(self, name: str) -> None:
        """Raises `ApiError` 404 in Ollama's words."""
        if name.lower() != MODEL_NAME:
            raise ApiError(404, f"model '{name}' not found")


def timestamp(moment: datetime | None = None) -> str:
    """RFC 3339 in UTC, as Go writes it; of now where no moment is given."""
    moment = moment or datetime.now(UTC)
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

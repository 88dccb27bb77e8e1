"""The memory of all workspaces: what of a project's memory bank a question gets, within a token budget."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from config.errors import MemoryUnavailable
from retrievers.bank import DEFAULT_LIMITS, BankLimits
from retrievers.builder import IndexBuilder
from retrievers.corpus import Corpus
from retrievers.index import BankIndex
from retrievers.layouts import DEFAULT_FOLDERS
from retrievers.open_banks import OpenBanks
from retrievers.selection import fill, ranked, whole_bank
from retrievers.stores.faiss import FaissStore
from retrievers.types import BankStatus, Embedder, IndexStatus, OpenStore, Retrieval, TokenCounter, Vectors

QUERY_CHARS = 2_000
COUNTED_TEXTS_KEPT = 4_096
CLOSE_TIMEOUT_S = 10.0


class MemoryService:
    """Recalls passages of memory banks. Reads files in threads only, and builds indexes in the background.

    Args:
        vector_store_path: Folder of the indexes, one subfolder a bank; made when needed.
        embedder: Makes the vectors; None to work without any.
        count_tokens: Counts a passage as rendered (source line and text).
        workspace_roots: Only workspaces in these folders are read; empty means any directory.
        folders: Where a bank may lie in a workspace, in order of preference.
        candidates: How many passages are asked of the vector store.
        max_files: Files of a bank read at most.
        max_file_bytes: Larger files are left out.
        max_bank_bytes: Files beyond this sum are left out.
        prefer_whole: Whether a bank that fits goes in whole, in reading order, instead of by rank.
        whole_bank_tokens: Banks above this go in by rank, whatever the budget.
        max_open_banks: Banks whose text and vectors are kept in memory.
        open_store: Makes the vector store of one bank.
    """

    def __init__(
        self,
        *,
        vector_store_path: Path,
        embedder: Embedder | None,
        count_tokens: TokenCounter,
        workspace_roots: tuple[Path, ...] = (),
        folders: tuple[str, ...] = DEFAULT_FOLDERS,
        candidates: int = 40,
        max_files: int = DEFAULT_LIMITS.max_files,
        max_file_bytes: int = DEFAULT_LIMITS.max_file_bytes,
        max_bank_bytes: int = DEFAULT_LIMITS.max_bank_bytes,
        prefer_whole: bool = True,
        whole_bank_tokens: int = 12_000,
        max_open_banks: int = 16,
        open_store: OpenStore = FaissStore,
    ) -> None:
        self._embedder = embedder
        self._count_tokens = lru_cache(maxsize=COUNTED_TEXTS_KEPT)(count_tokens)
        self._candidates = candidates
        self._prefer_whole = prefer_whole
        self._whole_bank_tokens = whole_bank_tokens
        self._banks = OpenBanks(
            vector_store_path=vector_store_path,
            embedder=embedder,
            open_store=open_store,
            workspace_roots=workspace_roots,
            folders=folders,
            limits=BankLimits(max_files, max_file_bytes, max_bank_bytes),
            max_open_banks=max_open_banks,
        )
        self._builder = IndexBuilder()

    async def recall(
        self,
        workspace: Path,
        query: str,
        budget_tokens: int,
        *,
        query_vector: Sequence[float] | None = None,
        prefer_whole: bool | None = None,
    ) -> Retrieval:
        """What the workspace's bank says to `query`, in at most `budget_tokens` tokens of rendered passages.

        The whole bank if it fits; else the passages nearest to the query; else, while there are no vectors,
        the core files in reading order as far as they fit. Each is the text on disk now. A workspace without
        a bank, outside `workspace_roots` or unreadable gives an empty retrieval with a note: this never
        raises for a bad bank.

        Args:
            workspace: Absolute path of the project's folder.
            query: The person's words; the first 2,000 characters count.
            budget_tokens: Upper bound for the sum of the passages' `tokens`.
            query_vector: `(dimension,)` normalised, where the caller embedded the query already.
            prefer_whole: Overrides the service's own setting.
        """
        return await asyncio.to_thread(
            self.recall_blocking,
            workspace,
            query,
            budget_tokens,
            query_vector=query_vector,
            prefer_whole=prefer_whole,
        )

    def recall_blocking(
        self,
        workspace: Path,
        query: str,
        budget_tokens: int,
        *,
        query_vector: Sequence[float] | None = None,
        prefer_whole: bool | None = None,
    ) -> Retrieval:
        """`recall` for callers without an event loop; reads files and may embed the query."""
        opened = self._banks.open(workspace)
        if isinstance(opened, str):
            return Retrieval(note=opened)
        corpus, index = opened
        if index is not None and not index.covers(corpus):
            self._builder.schedule(index, corpus)
        if not corpus.content_ids:
            return Retrieval(note="The memory bank is empty.")
        if self._prefer_whole if prefer_whole is None else prefer_whole:
            limit = min(budget_tokens, self._whole_bank_tokens)
            if (whole := whole_bank(corpus, limit, self._count_tokens)) is not None:
                return Retrieval(whole, whole=True)
        reason = self._why_no_vectors(corpus, index, query)
        if index is None or reason is not None:
            return self._in_reading_order(corpus, budget_tokens, reason)
        try:
            return self._by_rank(corpus, index, self._vector(query, query_vector), budget_tokens)
        except MemoryUnavailable as exc:
            return self._in_reading_order(corpus, budget_tokens, exc.message)

    async def status(self, workspace: Path) -> BankStatus:
        """What is known of the workspace's bank; also starts to index it if that is due."""
        return await asyncio.to_thread(self._status, workspace)

    def indexes(self) -> tuple[IndexStatus, ...]:
        """The banks that requests have used, with their vectors."""
        return self._banks.indexes()

    def wait_indexed(self, timeout_s: float) -> bool:
        """Block until no index is being built; False if that takes longer. For scripts and tests."""
        return self._builder.wait_idle(timeout_s)

    async def aclose(self) -> None:
        """Stop building and wait for the batch at hand; nothing is indexed any more after that."""
        await asyncio.to_thread(self._builder.close, CLOSE_TIMEOUT_S)

    def _why_no_vectors(self, corpus: Corpus, index: BankIndex | None, query: str) -> str | None:
        """One sentence, or None if the bank can be ranked."""
        if index is None or self._embedder is None:
            return "Vectors are switched off."
        status = self._embedder.status()
        if status.state == "failed":
            return status.detail or "The embedder failed to load."
        if not self._embedder.is_ready:
            return "The embedder is still loading."
        if not query.strip():
            return "There is no question to rank by."
        if len(index.content_ids & corpus.content_ids) * 2 < len(corpus.content_ids):
            return index.problem or "The memory bank is still being indexed."
        return None

    def _vector(self, query: str, query_vector: Sequence[float] | None) -> Vectors:
        if query_vector is None and self._embedder is not None:
            query_vector = self._embedder.embed_query(query[:QUERY_CHARS])
        return np.asarray(query_vector, dtype=np.float32)

    def _by_rank(self, corpus: Corpus, index: BankIndex, vector: Vectors, budget_tokens: int) -> Retrieval:
        known = index.content_ids
        fresh = corpus.content_ids - known
        hits = index.search(vector, self._candidates + len(known - corpus.content_ids))
        passages = ranked(corpus, hits, fresh, budget_tokens, self._count_tokens)
        note = f"{len(fresh)} changed passages are not ranked yet; some stand at the end." if fresh else None
        return Retrieval(passages, used_vectors=True, note=note)

    def _in_reading_order(self, corpus: Corpus, budget_tokens: int, reason: str | None) -> Retrieval:
        passages = fill(corpus.chunks, budget_tokens, self._count_tokens)
        return Retrieval(passages, note=f"{reason or ''} The core files come first, as far as they fit.".strip())

    def _status(self, workspace: Path) -> BankStatus:
        embedder = self._embedder.status().state if self._embedder is not None else "not loaded"
        opened = self._banks.open(workspace)
        if isinstance(opened, str):
            return BankStatus(workspace, embedder=embedder, note=opened)
        corpus, index = opened
        covered = index is not None and index.covers(corpus)
        if index is not None and not covered:
            self._builder.schedule(index, corpus)
        return BankStatus(
            workspace=workspace,
            root=corpus.bank.root,
            files=len(corpus.texts),
            size_bytes=corpus.bank.size_bytes,
            chunks=len(corpus.chunks),
            vectors=len(index.content_ids & corpus.content_ids) if index is not None else 0,
            vectors_ready=covered and self._embedder is not None and self._embedder.is_ready,
            embedder=embedder,
            left_out=corpus.bank.left_out,
            note=index.problem if index is not None else None,
        )

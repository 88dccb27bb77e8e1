"""The memory of all workspaces: what of a project's memory bank a question gets, within a token budget."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from retrievers.builder import IndexBuilder
from retrievers.layouts import DEFAULT_FOLDERS
from retrievers.line_counts import by_lines
from retrievers.listing import DEFAULT_LIMITS, BankLimits
from retrievers.open_banks import OpenBanks, OpenedBank
from retrievers.recalling import Recaller
from retrievers.report import BankReport, BankReporter
from retrievers.stores.faiss import FaissStore
from retrievers.types import BankStatus, Embedder, IndexStatus, OpenStore, Retrieval, TokenCounter

CLOSE_TIMEOUT_S = 10.0
SEARCH_TOKENS = 100_000


class MemoryService:
    """Recalls passages of memory banks. Reads files in threads only, and builds indexes in the background.

    Args:
        vector_store_path: Folder of the indexes, one subfolder a bank; made when needed.
        embedder: Makes the vectors; None to work without any.
        count_tokens: Counts a passage as rendered (source line and text); see `by_lines` for what it must hold to.
        workspace_roots: Only workspaces in these folders are read; empty means any directory.
        folders: Where a bank may lie in a workspace, in order of preference.
        candidates: How many passages are asked of the vector store.
        max_files: Files of a bank read at most.
        max_file_bytes: Larger files are left out.
        max_bank_bytes: Files beyond this sum are left out.
        prefer_whole: Whether a bank that fits goes in whole, in reading order, instead of by rank.
        whole_bank_tokens: Banks above this go in by rank, whatever the budget.
        ranked_tokens: What ranked passages may take, where the bank seems to answer; below that where it does not.
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
        ranked_tokens: int = 2_000,
        max_open_banks: int = 16,
        open_store: OpenStore = FaissStore,
    ) -> None:
        self._embedder = embedder
        self._recaller = Recaller(
            embedder=embedder,
            count_tokens=by_lines(count_tokens),
            candidates=candidates,
            prefer_whole=prefer_whole,
            whole_bank_tokens=whole_bank_tokens,
            ranked_tokens=ranked_tokens,
        )
        self._builder = IndexBuilder()
        self._banks = OpenBanks(
            vector_store_path=vector_store_path,
            embedder=embedder,
            count_tokens=count_tokens,
            open_store=open_store,
            workspace_roots=workspace_roots,
            folders=folders,
            limits=BankLimits(max_files, max_file_bytes, max_bank_bytes),
            max_open_banks=max_open_banks,
            is_busy_with=self._builder.is_busy_with,
        )
        self._reporter = BankReporter()

    @property
    def embedder(self) -> Embedder | None:
        """What makes the vectors; None where words have to do."""
        return self._embedder

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

        The whole bank if it fits; else what answers the query, by words and vectors, or by words alone while
        there are no vectors, and little where it seems that nothing does. Who asks for the bank itself gets its
        core files first. Each is the text on disk now. A workspace without a bank, outside `workspace_roots` or
        unreadable gives an empty retrieval with a note: this never raises for a bad bank.

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
        opened = self._opened(workspace)
        if isinstance(opened, str):
            return Retrieval(note=opened)
        return self._recaller.recall(opened, query, budget_tokens, query_vector=query_vector, prefer_whole=prefer_whole)

    async def search(self, workspace: Path, query: str, k: int, *, budget_tokens: int = SEARCH_TOKENS) -> Retrieval:
        """At most `k` passages that answer `query` best, each as a whole; no bank gives none, with a note."""
        return await asyncio.to_thread(self.search_blocking, workspace, query, k, budget_tokens=budget_tokens)

    def search_blocking(self, workspace: Path, query: str, k: int, *, budget_tokens: int = SEARCH_TOKENS) -> Retrieval:
        """`search` for callers without an event loop."""
        opened = self._opened(workspace)
        if isinstance(opened, str):
            return Retrieval(note=opened)
        return self._recaller.search(opened, query, k, budget_tokens)

    async def status(self, workspace: Path) -> BankStatus:
        """What is known of the workspace's bank; also starts to index it if that is due."""
        return await asyncio.to_thread(self.status_blocking, workspace)

    def status_blocking(self, workspace: Path) -> BankStatus:
        """`status` for callers without an event loop."""
        return self._status(workspace, self._opened(workspace))

    async def report(self, workspace: Path) -> BankReport:
        """`status` with each file, the paths it mentions in vain, and whether the bank is stale."""
        return await asyncio.to_thread(self._report, workspace)

    async def refresh(self, workspace: Path) -> BankStatus:
        """Forget what is kept of the workspace's bank, look afresh and start to index it; waits for no index."""
        await asyncio.to_thread(self._banks.forget, workspace)
        self._reporter.forget()
        return await self.status(workspace)

    async def refusal(self, workspace: Path) -> str | None:
        """One sentence on why the workspace may not be read; None if it may or is not there."""
        return await asyncio.to_thread(self._banks.refusal, workspace)

    @property
    def folders(self) -> tuple[str, ...]:
        """Where a bank may lie, in order of preference."""
        return self._banks.folders

    def indexes(self) -> tuple[IndexStatus, ...]:
        """The banks that requests have used, with their vectors."""
        return self._banks.indexes()

    def wait_indexed(self, timeout_s: float) -> bool:
        """Block until no index is being built; False if that takes longer. For scripts and tests."""
        return self._builder.wait_idle(timeout_s)

    async def aclose(self) -> None:
        """Stop building and wait for the batch at hand; nothing is indexed any more after that."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """`aclose` for callers without an event loop."""
        self._builder.close(CLOSE_TIMEOUT_S)
        self._banks.close()

    def _opened(self, workspace: Path) -> OpenedBank | str:
        """The bank, whose index and kept text are brought up to date in the background where that is due."""
        opened = self._banks.open(workspace)
        if not isinstance(opened, str) and opened.is_behind:
            self._builder.schedule(opened)
        return opened

    def _report(self, workspace: Path) -> BankReport:
        opened = self._opened(workspace)
        status = self._status(workspace, opened)
        return BankReport(status) if isinstance(opened, str) else self._reporter.report(status, opened.corpus)

    def _status(self, workspace: Path, opened: OpenedBank | str) -> BankStatus:
        embedder = self._embedder.status().state if self._embedder is not None else "not loaded"
        if isinstance(opened, str):
            return BankStatus(workspace, embedder=embedder, note=opened)
        corpus, index = opened.corpus, opened.index
        covered = index is not None and index.covers(corpus)
        return BankStatus(
            workspace=workspace,
            root=corpus.bank.root,
            files=len(corpus.texts),
            size_bytes=corpus.bank.size_bytes,
            chunks=len(corpus.chunks),
            vectors=len(index.content_ids & corpus.content_ids) if index is not None else 0,
            vectors_ready=covered and self._embedder is not None and self._embedder.is_ready,
            embedder=embedder,
            left_out=corpus.left_out,
            note=index.problem if index is not None else None,
            redacted=corpus.redacted,
        )

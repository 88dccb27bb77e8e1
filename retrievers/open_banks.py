"""The banks in use: found anew each time, their text and vectors kept between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

from retrievers.access import Access
from retrievers.bank import BankFinder
from retrievers.corpus import Corpus, CorpusReader, cut_of
from retrievers.cut_passages import CutPassages
from retrievers.index import BankIndex, index_folder
from retrievers.listing import BankLimits
from retrievers.text_cache import TextCache, words_digest
from retrievers.types import Embedder, IndexStatus, MemoryBank, OpenStore, TokenCounter
from retrievers.words import WordIndex

# Of one bank: each has its own names for the files, and its own place in memory.
WORKSPACES_KEPT = 4


@dataclass(frozen=True, slots=True)
class OpenedBank:
    """A bank's text as it is on disk now, its words and, where there is an embedder, its vectors."""

    corpus: Corpus
    words: WordIndex
    cut: CutPassages
    index: BankIndex | None
    bank: Hashable
    """The same for each workspace that has this bank."""
    is_kept: Callable[[], bool]
    """Whether `keep` was called for this text."""
    keep: Callable[[], None]
    """Writes down what a start would have to do again; blocks, and raises nothing."""

    @property
    def is_behind(self) -> bool:
        """Whether there is work for the background."""
        return not self.is_kept() or (self.index is not None and not self.index.covers(self.corpus))


@dataclass(frozen=True, slots=True)
class _View:
    """The bank as one workspace names its files; `digest` is the same for all that have the same text."""

    corpus: Corpus
    words: WordIndex
    digest: str


class _OpenBank:
    """What is kept of one bank between requests."""

    def __init__(self, max_file_bytes: int, folder: Path, cut: CutPassages, index: BankIndex | None) -> None:
        self._max_file_bytes = max_file_bytes
        self._cache = TextCache(folder)
        self._cut = cut
        self.index = index
        self._lock = threading.Lock()
        self._readers: dict[Path, CorpusReader] = {}
        self._views: dict[Path, _View] = {}
        self._kept: str | None = None

    def look(self, bank: MemoryBank) -> OpenedBank:
        with self._lock:
            reader = self._readers.pop(bank.workspace, None)
            if reader is None:
                reader = CorpusReader(max_file_bytes=self._max_file_bytes, cache=self._cache)
            self._readers[bank.workspace] = reader
            for workspace in list(self._readers)[:-WORKSPACES_KEPT]:
                del self._readers[workspace]
                self._views.pop(workspace, None)
        corpus = reader.read(bank)
        with self._lock:
            view = self._views.get(bank.workspace)
            if view is None or view.corpus is not corpus:
                self._views[bank.workspace] = view = self._new_view(corpus)
        return OpenedBank(
            corpus, view.words, self._cut, self.index, self, lambda: self._kept == view.digest, lambda: self._keep(view)
        )

    def forget(self) -> None:
        """Read all files again."""
        with self._lock:
            self._readers, self._views = {}, {}

    def close(self) -> None:
        self._cache.close()
        if self.index is not None:
            self.index.close()

    def _new_view(self, corpus: Corpus) -> _View:
        texts = ",".join(text.digest for text in corpus.texts)
        digest = f"{words_digest(corpus.chunks)} {texts}"
        same = next((view.words for view in self._views.values() if view.digest == digest), None)
        return _View(corpus, self._cache.words(corpus.chunks) if same is None else same, digest)

    def _keep(self, view: _View) -> None:
        texts = ((text.digest, cut_of(text)) for text in view.corpus.texts)
        self._cache.keep(texts, view.corpus.chunks, view.words)
        self._kept = view.digest


class OpenBanks:
    """Opens the bank of a workspace, as it is on disk now; thread-safe. Arguments as in `MemoryService`.

    A bank for which `is_busy_with` holds stays open.
    """

    def __init__(
        self,
        *,
        vector_store_path: Path,
        embedder: Embedder | None,
        count_tokens: TokenCounter,
        open_store: OpenStore,
        workspace_roots: tuple[Path, ...],
        folders: tuple[str, ...],
        limits: BankLimits,
        max_open_banks: int,
        is_busy_with: Callable[[Hashable], bool],
    ) -> None:
        self._vector_store_path = vector_store_path
        self._embedder = embedder
        self._count_tokens = count_tokens
        self._open_store = open_store
        self.folders = folders
        self._access = Access(workspace_roots)
        self._finder = BankFinder(folders=folders, limits=limits, access=self._access)
        self._limits = limits
        self._max_open_banks = max_open_banks
        self._is_busy_with = is_busy_with
        self._lock = threading.Lock()
        self._by_root: dict[Path, _OpenBank] = {}

    def open(self, workspace: Path) -> OpenedBank | str:
        """The bank, or one sentence on why there is none."""
        if not workspace.is_absolute():
            return "The workspace is not an absolute path on this machine, so no memory bank was looked for."
        if (refusal := self._access.refusal(workspace)) is not None:
            return refusal
        bank = self._finder.find(workspace)
        if bank is None:
            return "No memory bank was found in the workspace."
        with self._lock:
            # Taken out and put back: the first is always the one not used for longest.
            opened = self._by_root.pop(bank.root, None) or self._new(bank.root)
            self._by_root[bank.root] = opened
            oldest = list(self._by_root)[: -self._max_open_banks]
            let_go = [self._by_root.pop(root) for root in oldest if not self._is_busy_with(self._by_root[root])]
        for old in let_go:
            old.close()
        return opened.look(bank)

    def refusal(self, workspace: Path) -> str | None:
        """One sentence on why `workspace` may not be read; None if it may or is not there."""
        return self._access.refusal(workspace)

    def forget(self, workspace: Path) -> None:
        """Find banks anew and read this workspace's from disk, its index too unless that is being built."""
        self._finder = BankFinder(folders=self.folders, limits=self._limits, access=self._access)
        bank = None if self.refusal(workspace) is not None else self._finder.find(workspace)
        if bank is None:
            return
        with self._lock:
            opened = self._by_root.get(bank.root)
            if opened is not None and self._is_busy_with(opened):
                opened.forget()
                return
            self._by_root.pop(bank.root, None)
        if opened is not None:
            opened.close()

    def indexes(self) -> tuple[IndexStatus, ...]:
        """The banks in use, the one not used for longest first; touches no file."""
        with self._lock:
            opened = list(self._by_root.items())
        return tuple(
            IndexStatus(root, len(bank.index.content_ids), bank.index.problem, bank.index.built_at)
            if bank.index is not None
            else IndexStatus(root, 0, "Vectors are switched off.")
            for root, bank in opened
        )

    def close(self) -> None:
        """Close the files of all indexes."""
        with self._lock:
            opened, self._by_root = list(self._by_root.values()), {}
        for bank in opened:
            bank.close()

    def _new(self, root: Path) -> _OpenBank:
        folder = index_folder(self._vector_store_path, root)
        index = BankIndex(folder, self._embedder, self._open_store) if self._embedder is not None else None
        return _OpenBank(self._limits.max_file_bytes, folder, CutPassages(self._count_tokens), index)

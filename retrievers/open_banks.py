"""The banks in use: found anew each time, their text and vectors kept between."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from retrievers.access import Access
from retrievers.bank import BankFinder
from retrievers.corpus import Corpus, CorpusReader, cut_of
from retrievers.index import BankIndex, index_folder
from retrievers.listing import BankLimits
from retrievers.text_cache import TextCache
from retrievers.types import Embedder, IndexStatus, MemoryBank, OpenStore
from retrievers.words import WordIndex


@dataclass(frozen=True, slots=True)
class OpenedBank:
    """A bank's text as it is on disk now, its words and, where there is an embedder, its vectors."""

    corpus: Corpus
    words: WordIndex
    index: BankIndex | None
    keep: Callable[[], None]
    """Writes down what a start would have to do again; blocks."""


class _OpenBank:
    """What is kept of one bank between requests."""

    def __init__(self, max_file_bytes: int, folder: Path, index: BankIndex | None) -> None:
        self._cache = TextCache(folder)
        self._reader = CorpusReader(max_file_bytes=max_file_bytes, cache=self._cache)
        self.index = index
        self._lock = threading.Lock()
        self._words: tuple[Corpus, WordIndex] | None = None

    def look(self, bank: MemoryBank) -> OpenedBank:
        corpus = self._reader.read(bank)
        with self._lock:
            if self._words is None or self._words[0] is not corpus:
                self._words = corpus, self._cache.words(corpus.chunks)
            words = self._words[1]
        return OpenedBank(corpus, words, self.index, lambda: self._keep(corpus, words))

    def _keep(self, corpus: Corpus, words: WordIndex) -> None:
        self._cache.keep(((text.digest, cut_of(text)) for text in corpus.texts), corpus.chunks, words)

    def close(self) -> None:
        self._cache.close()
        if self.index is not None:
            self.index.close()


class OpenBanks:
    """Opens the bank of a workspace, as it is on disk now; thread-safe. Arguments as in `MemoryService`."""

    def __init__(
        self,
        *,
        vector_store_path: Path,
        embedder: Embedder | None,
        open_store: OpenStore,
        workspace_roots: tuple[Path, ...],
        folders: tuple[str, ...],
        limits: BankLimits,
        max_open_banks: int,
    ) -> None:
        self._vector_store_path = vector_store_path
        self._embedder = embedder
        self._open_store = open_store
        self.folders = folders
        self._access = Access(workspace_roots)
        self._finder = BankFinder(folders=folders, limits=limits, access=self._access)
        self._limits = limits
        self._max_open_banks = max_open_banks
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
            let_go = [
                self._by_root.pop(next(iter(self._by_root))) for _ in range(len(self._by_root) - self._max_open_banks)
            ]
        for old in let_go:
            old.close()
        return opened.look(bank)

    def refusal(self, workspace: Path) -> str | None:
        """One sentence on why `workspace` may not be read; None if it may or is not there."""
        return self._access.refusal(workspace)

    def forget(self, workspace: Path, is_busy_with: Callable[[BankIndex], bool]) -> None:
        """Find banks anew and read this workspace's from disk, its index too unless that is being built."""
        self._finder = BankFinder(folders=self.folders, limits=self._limits, access=self._access)
        bank = None if self.refusal(workspace) is not None else self._finder.find(workspace)
        if bank is None:
            return
        with self._lock:
            opened = self._by_root.pop(bank.root, None)
            if opened is not None and opened.index is not None and is_busy_with(opened.index):
                self._by_root[bank.root] = self._new(bank.root, opened.index)
                return
        if opened is not None:
            opened.close()

    def indexes(self) -> tuple[IndexStatus, ...]:
        """The banks in use, the one not used for longest first; touches no file."""
        with self._lock:
            opened = list(self._by_root.items())
        return tuple(
            IndexStatus(root, len(bank.index.content_ids), bank.index.problem)
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

    def _new(self, root: Path, index: BankIndex | None = None) -> _OpenBank:
        folder = index_folder(self._vector_store_path, root)
        if index is None and self._embedder is not None:
            index = BankIndex(folder, self._embedder, self._open_store)
        return _OpenBank(self._limits.max_file_bytes, folder, index)

"""The banks in use: found anew each time, their text and vectors kept between."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from retrievers.bank import BankLimits, find_bank
from retrievers.corpus import Corpus, CorpusReader
from retrievers.index import BankIndex, index_folder
from retrievers.types import Embedder, IndexStatus, OpenStore


@dataclass(frozen=True, slots=True)
class _OpenBank:
    reader: CorpusReader
    index: BankIndex | None


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
        self._workspace_roots = workspace_roots
        self._folders = folders
        self._limits = limits
        self._max_open_banks = max_open_banks
        self._lock = threading.Lock()
        self._by_root: dict[Path, _OpenBank] = {}

    def open(self, workspace: Path) -> tuple[Corpus, BankIndex | None] | str:
        """The bank's text and, where there is an embedder, its index; or one sentence on why there is no
        bank.
        """
        if not workspace.is_absolute():
            return "The workspace is not an absolute path on this machine, so no memory bank was looked for."
        if not self._is_allowed(workspace):
            return "The workspace lies outside `workspace_roots`, so its memory bank was not read."
        bank = find_bank(workspace, folders=self._folders, limits=self._limits)
        if bank is None:
            return "No memory bank was found in the workspace."
        with self._lock:
            # Taken out and put back: the first is always the one not used for longest.
            opened = self._by_root.pop(bank.root, None) or self._new(bank.root)
            self._by_root[bank.root] = opened
            while len(self._by_root) > self._max_open_banks:
                self._by_root.pop(next(iter(self._by_root)))
        return opened.reader.read(bank), opened.index

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

    def _new(self, root: Path) -> _OpenBank:
        index = None
        if self._embedder is not None:
            index = BankIndex(index_folder(self._vector_store_path, root), self._embedder, self._open_store)
        return _OpenBank(CorpusReader(max_file_bytes=self._limits.max_file_bytes), index)

    def _is_allowed(self, workspace: Path) -> bool:
        if not self._workspace_roots:
            return True
        try:
            real = workspace.resolve()
            return any(real.is_relative_to(root.resolve()) for root in self._workspace_roots)
        except (OSError, ValueError, RuntimeError):
            return False

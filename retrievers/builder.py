"""Builds indexes in the background, so that no recall ever waits for one."""

from __future__ import annotations

import threading
from collections.abc import Hashable

import structlog

from config.errors import MemoryUnavailable
from retrievers.corpus import Corpus
from retrievers.index import BankIndex
from retrievers.open_banks import OpenedBank

log = structlog.get_logger(__name__)


class IndexBuilder:
    """One daemon thread that builds the indexes asked for, one at a time; asking twice builds once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[Hashable, OpenedBank] = {}
        self._running: OpenedBank | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def schedule(self, opened: OpenedBank) -> None:
        """Keep and build when it is this bank's turn, from the newest text asked for; returns at once."""
        with self._changed:
            running = self._running
            if self._stop.is_set() or (running is not None and running.corpus is opened.corpus):
                return
            self._waiting[opened.bank] = opened
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="memory-index", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def is_busy_with(self, bank: Hashable) -> bool:
        """Whether this bank is being built or waits for it."""
        with self._changed:
            return bank in self._waiting or (self._running is not None and self._running.bank is bank)

    def wait_idle(self, timeout_s: float) -> bool:
        """Block until nothing is left to build; False if that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and self._running is None, timeout_s)

    def close(self, timeout_s: float) -> None:
        """Stop after the batch at hand and wait for that."""
        with self._changed:
            self._stop.set()
            self._waiting.clear()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._running = None
                self._changed.notify_all()
                self._changed.wait_for(lambda: bool(self._waiting) or self._stop.is_set())
                if self._stop.is_set():
                    return
                opened = self._waiting.pop(next(iter(self._waiting)))
                self._running = opened
            if not opened.is_kept():
                opened.keep()
            if opened.index is not None:
                self._build(opened.index, opened.corpus)
            self._cut(opened)

    def _cut(self, opened: OpenedBank) -> None:
        """Ahead of the questions; where that fails, the one whose passage it is meets the fault."""
        try:
            opened.cut.prepare(opened.corpus.chunks, self._stop)
        except Exception:
            log.exception("a memory bank's lines cannot be cut ahead")

    def _build(self, index: BankIndex, corpus: Corpus) -> None:
        try:
            index.build(corpus, self._stop)
        except MemoryUnavailable as exc:
            index.problem = exc.message
        except Exception as exc:  # noqa: BLE001 - a store may fail in its own ways; later builds must still run
            index.problem = f"The index could not be built ({type(exc).__name__}); delete its folder and try again."

"""The text of a bank, cut into passages, as it is on disk now: only what changed is read again."""

from __future__ import annotations

import hashlib
import stat
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from retrievers.chunking import chunk_markdown
from retrievers.days import newest_day
from retrievers.reading import read_text
from retrievers.redaction import redact
from retrievers.text_cache import CutText, TextCache, text_digest
from retrievers.touched import is_settled
from retrievers.types import BankFile, MemoryBank, Passage


@dataclass(frozen=True, slots=True)
class BankText:
    """One file: all of it as one passage, and the same lines as chunks, with `redacted` secrets taken out.

    `digest` is that of the text as it was read.
    """

    file: BankFile
    whole: Passage
    chunks: tuple[Passage, ...]
    redacted: int = 0
    digest: str = ""


@dataclass(frozen=True)
class Corpus:
    """All text of a bank in reading order; `content_ids` are those of its chunks."""

    bank: MemoryBank
    texts: tuple[BankText, ...]
    content_ids: frozenset[str]
    unreadable: tuple[str, ...] = ()
    """Names of files that are there and cannot be read."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """What is not here although it lies in the bank, and why."""
        return (*self.bank.left_out, *(f"{name}: cannot be read" for name in self.unreadable))

    @cached_property
    def chunks(self) -> tuple[Passage, ...]:
        """The chunks of all files, in reading order."""
        return tuple(chunk for text in self.texts for chunk in text.chunks)

    @property
    def redacted(self) -> int:
        """How many keys and passwords were replaced in all files."""
        return sum(text.redacted for text in self.texts)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where in `chunks` each content stands; of equal ones the first in reading order, hence a live one before
        archived.
        """
        return {chunk.content_id: place for place, chunk in reversed(list(enumerate(self.chunks)))}


def content_id(heading: str, text: str) -> str:
    """Known by content: equal heading and text have an equal id, in whatever file and line."""
    return hashlib.sha256(f"{heading}\n{text}".encode("utf-8", "replace")).hexdigest()[:32]


class CorpusReader:
    """Reads one bank again and again; thread-safe."""

    def __init__(self, *, max_file_bytes: int, cache: TextCache | None = None) -> None:
        self._max_file_bytes = max_file_bytes
        self._cache = cache
        self._lock = threading.Lock()
        self._known: dict[str, tuple[BankText, bool]] = {}
        self._corpus: Corpus | None = None
        self._is_settled = False

    def read(self, bank: MemoryBank) -> Corpus:
        """The bank's text now; the very same object as before if nothing changed. Files that vanished are
        left out; those that cannot be read are named.
        """
        with self._lock:
            last = self._corpus
            if self._is_settled and last is not None and last.bank is bank:
                return last
            known: dict[str, tuple[BankText, bool]] = {}
            unreadable: list[str] = []
            for file in bank.files:
                before = self._known.get(file.name)
                if before is not None and before[0].file == file and before[1]:
                    known[file.name] = before
                    continue
                settled = is_settled(file.mtime_ns, file.ctime_ns, time.time_ns())
                text = read_text(file, max_file_bytes=self._max_file_bytes)
                if text is None:
                    if _is_there(file):
                        unreadable.append(file.name)
                    continue
                digest = text_digest(text)
                if before is not None and before[0].file == file and before[0].digest == digest:
                    known[file.name] = (before[0], settled)
                else:
                    known[file.name] = (self._passages(file, text, digest), settled)
            self._known = known
            self._is_settled = len(known) == len(bank.files) and all(settled for _, settled in known.values())
            texts = tuple(text for text, _ in known.values())
            if (
                last is None
                or last.bank != bank
                or last.unreadable != tuple(unreadable)
                or _identities(last.texts) != _identities(texts)
            ):
                ids = frozenset(chunk.content_id for text in texts for chunk in text.chunks)
                self._corpus = last = Corpus(bank, texts, ids, tuple(unreadable))
            return last

    def _passages(self, file: BankFile, text: str, digest: str) -> BankText:
        def make() -> CutText:
            return cut_text(text)

        return _passages(file, digest, make() if self._cache is None else self._cache.cut(digest, make))


def cut_text(text: str) -> CutText:
    """The text without secrets, cut into chunks; blank ones are left out."""
    text, redacted = redact(text)
    chunks = (chunk for chunk in chunk_markdown(text) if chunk.text.strip())
    parts = tuple((chunk.text, chunk.heading, chunk.start_line, chunk.end_line) for chunk in chunks)
    return CutText(text, redacted, parts)


def cut_of(text: BankText) -> CutText:
    """What `BankText` was made of."""
    parts = tuple((chunk.text, chunk.heading, chunk.start_line, chunk.end_line) for chunk in text.chunks)
    return CutText(text.whole.text, text.redacted, parts)


def _is_there(file: BankFile) -> bool:
    try:
        return stat.S_ISREG(file.path.lstat().st_mode)
    except OSError:
        return False


def _identities(texts: tuple[BankText, ...]) -> list[int]:
    return [id(text) for text in texts]


def _passages(file: BankFile, digest: str, cut: CutText) -> BankText:
    modified_at = datetime.fromtimestamp(file.mtime_ns / 1e9, tz=UTC)

    def passage(text: str, heading: str, start_line: int, end_line: int) -> Passage:
        return Passage(
            text=text,
            file=file.name,
            heading=heading,
            start_line=start_line,
            end_line=end_line,
            modified_at=modified_at,
            content_id=content_id(heading, text),
            archived=file.archived,
            day=newest_day(heading, text, modified_at),
        )

    lines = max(1, cut.text.count("\n") + (not cut.text.endswith("\n")))
    chunks = tuple(passage(*chunk) for chunk in cut.chunks)
    return BankText(file, passage(cut.text, "", 1, lines), chunks, cut.redacted, digest)

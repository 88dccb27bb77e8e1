"""How a large memory bank keeps up: `python -m benchmarks.memory_scale` prints one JSON object, within some minutes.

    python -m benchmarks.memory_scale [--chunks N] [--embedder words|packaged] [--folder FOLDER]

The bank is made of invented prose. A passage's vector is the sum of those of its words, so that a question finds the
passage whose words it has and gets as much text as in life. The packaged model would take a quarter of an hour for
10,000 passages, and does so with `--embedder packaged`; else its time is paid for all that is measured: questions and
what an edit changed. `--folder` keeps banks and indexes for another run.

- `query_ms_*`: one recall, of a question that was not asked before; `no_embedding` with its vector given; `cpu` by the
  thread's own time, which others that keep the cores busy do not lengthen as much
- `found`: the share of these questions that got a line with the words they are made of; `tokens`: what they got
- `warm_start_s`: a new service's time to the first recall by vectors, from the index on disk; `warm_start_embedded`:
  the texts that it embedded for that
- `edit_searchable_s`: from a file's change in a bank of 1,000 chunks to the recall that finds it by vectors;
  `edit_embedded`: the texts that were embedded for that
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from chains.counting import count_text
from config.settings import MemorySettings
from retrievers.embeddings import DIMENSION, LocalEmbedder
from retrievers.memory import MemoryService
from retrievers.types import Retrieval, Vectors

QUESTIONS = 200
QUESTION_WORDS = 8
EDITED_BANK_CHUNKS = 1_000
CHUNKS_PER_FILE = 60
WORDS_PER_CHUNK = 190
WORDS_PER_LINE = 11
INDEX_WITHIN_S = 7_200.0
LOOK_EVERY_S = 0.005
BUDGET_TOKENS = MemorySettings().budget_tokens


class CountingEmbedder(LocalEmbedder):
    """The packaged model; counts the texts. `is_measured` is set while time is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.embedded = 0
        self.is_measured = False

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """As the packaged model does."""
        self.embedded += len(texts)
        return super().embed_documents(texts)


class WordsEmbedder(CountingEmbedder):
    """The sum of a text's word vectors, rare words weighing more; in the packaged model's time where it is measured."""

    name = "words"

    def __init__(self, vocabulary: Sequence[str]) -> None:
        super().__init__()
        self._places = {word: place for place, word in enumerate(dict.fromkeys(vocabulary), 1)}

    @cached_property
    def _of_words(self) -> Vectors:
        rows = np.random.default_rng(11).standard_normal((len(self._places) + 1, DIMENSION), dtype=np.float32)
        # A word's place tells how rare it is; the first stands for all that are not in the vocabulary.
        return rows * np.log1p(np.arange(len(rows), dtype=np.float32))[:, None]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector for each text."""
        if self.is_measured:
            super().embed_documents(texts)
        else:
            self.embedded += len(texts)
        return [self._sum(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """The question's."""
        super().embed_query(text)
        return self._sum(text)

    def _sum(self, text: str) -> list[float]:
        places = sorted({self._places.get(word, 0) for word in re.findall(r"[a-z]+", text)})
        row = self._of_words[places].sum(axis=0)
        vector: list[float] = (row / max(float(np.linalg.norm(row)), 1e-9)).tolist()
        return vector


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure memory recall over a large bank.")
    parser.add_argument("--chunks", type=int, default=10_000, help=f"{2 * QUESTIONS + 1} at least")
    parser.add_argument("--embedder", choices=("words", "packaged"), default="words")
    parser.add_argument("--folder", type=Path, help="keeps banks and indexes, for another run with the same options")
    asked = parser.parse_args()
    if asked.chunks < 2 * QUESTIONS + 1:
        parser.error(f"--chunks: each question is asked of another one, so give {2 * QUESTIONS + 1} at least")
    vocabulary = invented_words()
    embedder = WordsEmbedder(vocabulary) if asked.embedder == "words" else CountingEmbedder()
    embedder.wait_until_loaded()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = ((asked.folder or Path(folder)) / f"{asked.embedder}-{asked.chunks}").resolve()
        figures = measure_large(place / "large", asked.chunks, vocabulary, embedder)
        figures |= measure_edit(place / "edited", vocabulary, embedder)
    print(json.dumps({"embedder": asked.embedder, **figures}))


def measure_large(workspace: Path, chunks: int, vocabulary: list[str], embedder: CountingEmbedder) -> dict[str, Any]:
    """All figures but those of an edit, over a bank of about `chunks` chunks."""
    write_bank(workspace, chunks, vocabulary)
    with closing(service_of(workspace, embedder)) as first:
        figures: dict[str, Any] = {"index_s": index(first, workspace)}
        figures["chunks"] = first.status_blocking(workspace).chunks
    asked = questions(chunks, vocabulary)
    embedder.embedded = 0
    with closing(service_of(workspace, embedder)) as service:
        started = time.perf_counter()
        while not service.recall_blocking(workspace, asked[0], BUDGET_TOKENS).used_vectors:
            _go_on(started)
        figures["warm_start_s"] = round(time.perf_counter() - started, 3)
        service.wait_indexed(INDEX_WITHIN_S)
        figures["warm_start_embedded"] = embedder.embedded
        with_embedding, given = asked[1 : QUESTIONS + 1], asked[QUESTIONS + 1 :]
        figures |= measure_questions(service, workspace, with_embedding, [None] * QUESTIONS, "")
        vectors = [embedder.embed_query(question) for question in given]
        figures |= measure_questions(service, workspace, given, vectors, "_no_embedding")
    return figures


def measure_questions(
    service: MemoryService, workspace: Path, asked: list[str], vectors: Sequence[list[float] | None], label: str
) -> dict[str, float]:
    """How long each question took, and what it got."""
    passed_s: list[float] = []
    cpu_s: list[float] = []
    got: list[Retrieval] = []
    for question, vector in zip(asked, vectors, strict=True):
        started, cpu_started = time.perf_counter(), time.thread_time()
        got.append(service.recall_blocking(workspace, question, BUDGET_TOKENS, query_vector=vector))
        cpu_s.append(time.thread_time() - cpu_started)
        passed_s.append(time.perf_counter() - started)
    return {
        **{f"query_ms_p{percent}{label}": _ms(passed_s, percent) for percent in (50, 95)},
        **{f"query_cpu_ms_p{percent}{label}": _ms(cpu_s, percent) for percent in (50, 95)},
        f"found{label}": round(fmean(map(_is_found, asked, got)), 3),
        f"tokens{label}": round(fmean(each.tokens for each in got), 1),
    }


def measure_edit(workspace: Path, vocabulary: list[str], embedder: CountingEmbedder) -> dict[str, Any]:
    """One section more in one file."""
    write_bank(workspace, EDITED_BANK_CHUNKS, vocabulary)
    with closing(service_of(workspace, embedder)) as service:
        index(service, workspace)
        embedder.embedded, embedder.is_measured = 0, True
        changed = workspace / "memory-bank" / "notes-3.md"
        text = changed.read_text(encoding="utf-8")
        started = time.perf_counter()
        changed.write_text(f"{text}\n## News\n\nThe zeppelin lands on Tuesday.\n", encoding="utf-8")
        while True:
            got = service.recall_blocking(workspace, "When does the zeppelin land?", BUDGET_TOKENS)
            if not any("zeppelin" in passage.text for passage in got.passages):
                sys.exit("The change was not seen by the next recall.")
            if got.used_vectors and got.note is None:
                break
            _go_on(started)
        passed_s = time.perf_counter() - started
        changed.write_text(text, encoding="utf-8")
        index(service, workspace)
    return {"edit_searchable_s": round(passed_s, 3), "edit_embedded": embedder.embedded}


def _go_on(started: float) -> None:
    """Wait for the next look; an index that does not come ends the run."""
    if time.perf_counter() - started > INDEX_WITHIN_S:
        sys.exit(f"The index did not serve within {INDEX_WITHIN_S:.0f} s.")
    time.sleep(LOOK_EVERY_S)


def write_bank(workspace: Path, chunks: int, vocabulary: list[str]) -> None:
    """A memory bank of prose, a chunk a section; not again where it is kept."""
    bank = workspace / "memory-bank"
    if bank.is_dir():
        return
    bank.mkdir(parents=True)
    names = ["projectbrief", "activeContext", *(f"notes-{number}" for number in range(chunks // CHUNKS_PER_FILE))]
    for number, name in enumerate(names):
        of_file = range(number * CHUNKS_PER_FILE, min(chunks, (number + 1) * CHUNKS_PER_FILE))
        sections = (f"## Part {part}\n\n{prose(vocabulary, part)}\n" for part in of_file)
        (bank / f"{name}.md").write_text(f"# {name}\n\n" + "\n".join(sections), encoding="utf-8")


def questions(chunks: int, vocabulary: list[str]) -> list[str]:
    """Each of some words in a row of another section."""
    draw = random.Random(5)  # noqa: S311 - which sections are asked about
    sections = draw.sample(range(chunks), 2 * QUESTIONS + 1)
    lines = (draw.choice(prose(vocabulary, section).splitlines()[:-1]).split() for section in sections)
    return ["What about " + " ".join(words[1 : 1 + QUESTION_WORDS]) + "?" for words in lines]


def service_of(workspace: Path, embedder: LocalEmbedder) -> MemoryService:
    """One with room for the bank, whose index lies beside it."""
    return MemoryService(
        vector_store_path=workspace.with_name(f"{workspace.name}-index"),
        embedder=embedder,
        count_tokens=count_text,
        max_bank_bytes=64_000_000,
        max_files=1_000,
        prefer_whole=False,
    )


def index(service: MemoryService, workspace: Path) -> float:
    """Wait until the bank's index is whole; in seconds."""
    started = time.perf_counter()
    service.status_blocking(workspace)
    if not service.wait_indexed(INDEX_WITHIN_S):
        sys.exit(f"The bank was not indexed within {INDEX_WITHIN_S:.0f} s.")
    status = service.status_blocking(workspace)
    if not status.vectors_ready:
        sys.exit(f"The bank has no index: {status.note}")
    return round(time.perf_counter() - started, 2)


def invented_words() -> list[str]:
    """The most frequent first."""
    draw = random.Random(7)  # noqa: S311 - invented words
    syllables = [first + vowel for first in "bcdfghklmnprstvz" for vowel in "aeiou"]
    return ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(20_000)]


def prose(vocabulary: list[str], section: int) -> str:
    """The words of one section, as frequent as in a language."""
    draw = np.random.default_rng(section)
    words = [vocabulary[number % len(vocabulary)] for number in draw.zipf(1.3, WORDS_PER_CHUNK)]
    starts = range(0, WORDS_PER_CHUNK, WORDS_PER_LINE)
    return "\n".join(" ".join(words[start : start + WORDS_PER_LINE]) + "." for start in starts)


def _is_found(question: str, got: Retrieval) -> bool:
    words = question.removeprefix("What about ").removesuffix("?")
    return any(words in passage.text for passage in got.passages)


def _ms(seconds: list[float], percent: int) -> float:
    return round(float(np.percentile(seconds, percent)) * 1_000, 2)


if __name__ == "__main__":
    main()

"""How a large memory bank keeps up: `python -m benchmarks.memory_scale [--chunks N]` prints one JSON object.

A bank is made of invented prose. Its passages get random vectors, since a real embedder would take a quarter of an
hour for them and the time of a search does not depend on what vectors mean; questions are embedded by the real one.

- `query_ms_*`: one recall; `no_embedding` with the question's vector given
- `warm_start_s`: a new service's first recall from the index on disk, and how many texts that embedded
- `edit_s`: from a file's change in a bank of 1,000 chunks to the recall that finds it by vectors
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings

from chains.counting import count_text
from retrievers.embeddings import DIMENSION, LocalEmbedder
from retrievers.memory import MemoryService
from retrievers.types import EmbedderStatus

QUERIES = 200
EDITED_BANK_CHUNKS = 1_000
CHUNKS_PER_FILE = 60
WORDS_PER_CHUNK = 190
INDEX_WITHIN_S = 600.0
BUDGET_TOKENS = 4_000


class RandomEmbedder(Embeddings):
    """A unit vector drawn from each text's hash; counts the texts."""

    name = "random"
    dimension = DIMENSION
    is_ready = True

    def __init__(self) -> None:
        self.embedded = 0

    def start_loading(self) -> None:
        """Nothing to load."""

    def status(self) -> EmbedderStatus:
        """Always ready."""
        return EmbedderStatus("ready")

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector for each text."""
        self.embedded += len(texts)
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """The vector of the text's hash."""
        seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
        row = np.random.default_rng(seed).standard_normal(DIMENSION)
        vector: list[float] = (row / np.linalg.norm(row)).tolist()
        return vector


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure memory recall over a large bank.")
    parser.add_argument("--chunks", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        print(json.dumps(measure(asked.chunks, Path(folder).resolve())))


def measure(chunks: int, folder: Path) -> dict[str, Any]:
    """All figures, over a bank of about `chunks` chunks."""
    vocabulary = _vocabulary()
    write_bank(folder / "large", chunks, vocabulary)
    first, _ = _service(folder)
    figures: dict[str, Any] = {"index_s": _index(first, folder / "large")}
    figures["chunks"] = first.status_blocking(folder / "large").chunks
    first.close()
    service, embedder = _service(folder)
    started = time.perf_counter()
    got = service.recall_blocking(folder / "large", _question(vocabulary, 0), BUDGET_TOKENS, prefer_whole=False)
    service.wait_indexed(INDEX_WITHIN_S)
    again = service.recall_blocking(folder / "large", _question(vocabulary, 0), BUDGET_TOKENS, prefer_whole=False)
    figures["warm_start_s"] = round(time.perf_counter() - started, 3)
    figures["warm_start_by_vectors"] = again.used_vectors
    figures["warm_start_embedded"] = embedder.embedded
    figures["first_recall_passages"] = len(got.passages)
    figures |= _queries(service, folder / "large", vocabulary)
    service.close()
    figures["edit_s"] = _edit(folder, vocabulary)
    return figures


def write_bank(workspace: Path, chunks: int, vocabulary: list[str]) -> None:
    """A memory bank of prose, a chunk a section."""
    bank = workspace / "memory-bank"
    bank.mkdir(parents=True)
    names = ["projectbrief", "activeContext", *(f"notes-{number}" for number in range(chunks // CHUNKS_PER_FILE))]
    left = chunks
    for number, name in enumerate(names):
        take = min(left, CHUNKS_PER_FILE)
        sections = (f"## Part {part}\n\n{_prose(vocabulary, number * 1_000 + part)}\n" for part in range(take))
        (bank / f"{name}.md").write_text(f"# {name}\n\n" + "\n".join(sections), encoding="utf-8")
        left -= take


def _queries(service: MemoryService, workspace: Path, vocabulary: list[str]) -> dict[str, float]:
    local = LocalEmbedder()
    local.wait_until_loaded()
    with_s, without_s = [], []
    for number in range(QUERIES):
        question = _question(vocabulary, number)
        started = time.perf_counter()
        vector = local.embed_query(question)
        embedded = time.perf_counter()
        service.recall_blocking(workspace, question, BUDGET_TOKENS, query_vector=vector, prefer_whole=False)
        done = time.perf_counter()
        with_s.append(done - started)
        without_s.append(done - embedded)
    return {
        "query_ms_p50": _ms(with_s, 50),
        "query_ms_p95": _ms(with_s, 95),
        "query_ms_p50_no_embedding": _ms(without_s, 50),
        "query_ms_p95_no_embedding": _ms(without_s, 95),
    }


def _edit(folder: Path, vocabulary: list[str]) -> float:
    workspace = folder / "edited"
    write_bank(workspace, EDITED_BANK_CHUNKS, vocabulary)
    service, _ = _service(folder)
    _index(service, workspace)
    changed = workspace / "memory-bank" / "notes-3.md"
    started = time.perf_counter()
    changed.write_text(
        changed.read_text(encoding="utf-8") + "\n## News\n\nThe zeppelin lands on Tuesday.\n", encoding="utf-8"
    )
    while True:
        got = service.recall_blocking(workspace, "When does the zeppelin land?", BUDGET_TOKENS, prefer_whole=False)
        if not any("zeppelin" in passage.text for passage in got.passages):
            raise SystemExit("The change was not seen by the next recall.")
        if got.used_vectors and got.note is None:
            break
        service.wait_indexed(INDEX_WITHIN_S)
    passed_s = time.perf_counter() - started
    service.close()
    return round(passed_s, 3)


def _service(folder: Path) -> tuple[MemoryService, RandomEmbedder]:
    embedder = RandomEmbedder()
    service = MemoryService(
        vector_store_path=folder / "vectors",
        embedder=embedder,
        count_tokens=count_text,
        max_bank_bytes=64_000_000,
        max_files=1_000,
    )
    return service, embedder


def _index(service: MemoryService, workspace: Path) -> float:
    started = time.perf_counter()
    service.status_blocking(workspace)
    if not service.wait_indexed(INDEX_WITHIN_S):
        raise SystemExit(f"The bank was not indexed within {INDEX_WITHIN_S:.0f} s.")
    return round(time.perf_counter() - started, 2)


def _vocabulary() -> list[str]:
    draw = random.Random(7)  # noqa: S311 - invented words
    syllables = [first + vowel for first in "bcdfghklmnprstvz" for vowel in "aeiou"]
    return ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(20_000)]


def _prose(vocabulary: list[str], seed: int) -> str:
    draw = np.random.default_rng(seed)
    words = [vocabulary[number % len(vocabulary)] for number in draw.zipf(1.3, WORDS_PER_CHUNK)]
    return "\n".join(" ".join(words[start : start + 11]) + "." for start in range(0, WORDS_PER_CHUNK, 11))


def _question(vocabulary: list[str], seed: int) -> str:
    return "What about " + " ".join(_prose(vocabulary, 5_000_000 + seed).split()[:9]) + "?"


def _ms(seconds: list[float], percent: int) -> float:
    return round(float(np.percentile(seconds, percent)) * 1_000, 2)


if __name__ == "__main__":
    main()

"""Whether the memory bank's right passage is found, and how fast.

    python -m benchmarks.retrieval QUESTIONS.jsonl BANKS_DIR [--store faiss|chroma|qdrant]

Each line of the questions is an object with `bank` (a folder of BANKS_DIR, taken as the workspace), `question`, `kind`,
and the gold passage: `file` and a verbatim `span` of it, and in `also` other places that answer as well. A question of
kind `absent` has none. Ranking is what is measured, so a small bank does not go in whole here. Prints one JSON object:

- `within_1000`, `within_2000`: the share of questions whose span lies, to its last character, inside the first so many
  tokens of what would be injected, source lines included; `recall_at_5` and `mrr` are over passages
- `absent_mean_tokens`: what a question gets that the bank does not answer
- `query_ms_*`: one recall from words to passages, files looked at included; `no_embedding` with its vector given
- `chunks_per_s`: how fast the banks were indexed
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from statistics import fmean
from typing import Any

import numpy as np

from chains.counting import count_text
from config.settings import MemorySettings
from retrievers.embeddings import LocalEmbedder
from retrievers.memory import MemoryService
from retrievers.stores.choice import choose_store
from retrievers.types import Passage

INDEX_WITHIN_S = 3_600.0
FIRST = 5


@dataclass
class Found:
    """What the questions got so far."""

    within: dict[int, list[bool]] = field(default_factory=lambda: {1_000: [], 2_000: []})
    ranks: list[int | None] = field(default_factory=list)
    by_kind: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    absent_tokens: list[int] = field(default_factory=list)
    query_s: list[float] = field(default_factory=list)
    given_vector_s: list[float] = field(default_factory=list)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure passage retrieval over memory banks.")
    parser.add_argument("questions", type=Path)
    parser.add_argument("banks", type=Path)
    parser.add_argument("--store", choices=("faiss", "chroma", "qdrant"), default="faiss")
    asked = parser.parse_args()
    questions = [json.loads(line) for line in asked.questions.read_text(encoding="utf-8").splitlines() if line.strip()]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        print(json.dumps(measure(questions, asked.banks.resolve(), asked.store, Path(folder)), ensure_ascii=False))


def measure(questions: list[dict[str, Any]], banks: Path, store: str, folder: Path) -> dict[str, Any]:
    """Index every bank that is asked about, then ask."""
    embedder = LocalEmbedder()
    settings = MemorySettings.model_validate({"store": store})
    memory = MemoryService(
        vector_store_path=folder,
        embedder=embedder,
        count_tokens=count_text,
        open_store=choose_store(settings),
        max_open_banks=1_000,
    )
    embedder.wait_until_loaded()
    chunks_per_s = index(memory, sorted({banks / question["bank"] for question in questions}))
    found = Found()
    for question in questions:
        ask(memory, embedder, banks / question["bank"], question, found)
    memory.close()
    return {"n": len(questions), "store": store, **figures(found), "chunks_per_s": chunks_per_s}


def index(memory: MemoryService, workspaces: list[Path]) -> float:
    """Build all indexes; chunks per second."""
    started = time.perf_counter()
    for workspace in workspaces:
        memory.status_blocking(workspace)
    if not memory.wait_indexed(INDEX_WITHIN_S):
        sys.exit(f"The banks were not indexed within {INDEX_WITHIN_S:.0f} s.")
    passed_s = time.perf_counter() - started
    statuses = [memory.status_blocking(workspace) for workspace in workspaces]
    for status in statuses:
        if not status.vectors_ready:
            sys.exit(f"{status.workspace} has no index: {status.note}")
    return round(sum(status.chunks for status in statuses) / passed_s, 1)


def ask(
    memory: MemoryService, embedder: LocalEmbedder, workspace: Path, question: dict[str, Any], found: Found
) -> None:
    """One question, once with its vector to be made and once with it given."""
    budget = MemorySettings().budget_tokens
    started = time.perf_counter()
    got = memory.recall_blocking(workspace, question["question"], budget, prefer_whole=False)
    found.query_s.append(time.perf_counter() - started)
    vector = embedder.embed_query(question["question"])
    started = time.perf_counter()
    memory.recall_blocking(workspace, question["question"], budget, query_vector=vector, prefer_whole=False)
    found.given_vector_s.append(time.perf_counter() - started)
    if question["kind"] == "absent":
        found.absent_tokens.append(got.tokens)
        return
    places = [(question["file"], question["span"]), *((also["file"], also["span"]) for also in question["also"])]
    rank, tokens = _first_gold(got.passages, places)
    found.ranks.append(rank)
    for limit, hits in found.within.items():
        hits.append(tokens is not None and tokens <= limit)
    found.by_kind[question["kind"]].append(found.within[2_000][-1])


def _first_gold(passages: tuple[Passage, ...], places: list[tuple[str, str]]) -> tuple[int | None, int | None]:
    """Rank (from 1) of the first passage with a gold span, and the tokens injected up to that span's end."""
    tokens = 0
    for rank, passage in enumerate(passages, 1):
        ends = [
            passage.text.find(span) + len(span)
            for file, span in places
            if PurePosixPath(passage.file) == PurePosixPath(file) and span in passage.text
        ]
        if ends:
            return rank, tokens + count_text(f"{passage.source}\n{passage.text[: min(ends)]}")
        tokens += count_text(passage.rendered)
    return None, None


def figures(found: Found) -> dict[str, Any]:
    """Shares, means and quantiles."""
    return {
        **{f"within_{limit}": _share(hits) for limit, hits in found.within.items()},
        "recall_at_5": _share([rank is not None and rank <= FIRST for rank in found.ranks]),
        "mrr": _share([1 / rank if rank else 0.0 for rank in found.ranks]),
        "by_kind": {
            kind: {"n": len(hits), "within_2000": _share(hits)} for kind, hits in sorted(found.by_kind.items())
        },
        "absent_mean_tokens": round(fmean(found.absent_tokens), 1) if found.absent_tokens else None,
        "query_ms_p50": _quantile_ms(found.query_s, 50),
        "query_ms_p95": _quantile_ms(found.query_s, 95),
        "query_ms_p95_no_embedding": _quantile_ms(found.given_vector_s, 95),
    }


def _share(values: list[bool] | list[float]) -> float | None:
    return round(fmean(values), 4) if values else None


def _quantile_ms(seconds: list[float], percent: int) -> float:
    return round(float(np.percentile(seconds, percent)) * 1_000, 2)


if __name__ == "__main__":
    main()

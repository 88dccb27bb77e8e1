"""A memory service over a bank that does not go in whole."""

from __future__ import annotations

from pathlib import Path

from retrievers.memory import MemoryService
from retrievers.types import Retrieval
from tests.retrievers.memory_support import WordEmbedder, count_words, words

LARGE = {
    "projectbrief.md": f"# Brief\nAnchors and harbours.\n{words(300, 'brief')}",
    "productContext.md": f"# Product\n{words(300, 'product')}",
    "techContext.md": f"# Tech\n## Database\nPostgres keeps gauges\n{words(150, 'tech')}",
    "progress.md": f"# Progress\n## Known issues\nDrift of sensors\n{words(150, 'issue')}",
    "archive/progress.md": f"# Progress\n## Known issues\nDrift of sensors, long ago\n{words(150, 'old')}",
}


def service_of(tmp_path: Path, embedder: WordEmbedder | None, **options: object) -> MemoryService:
    return MemoryService(
        vector_store_path=tmp_path / "vectors",
        embedder=embedder,
        count_tokens=count_words,
        **options,  # type: ignore[arg-type]
    )


async def indexed(service: MemoryService, workspace: Path) -> None:
    await service.status(workspace)
    assert service.wait_indexed(10)


def text_of(found: Retrieval) -> str:
    return "".join(passage.text for passage in found.passages)

"""The memory bank as a LangChain retriever."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import Field

from retrievers.memory import MemoryService
from retrievers.types import Passage


class MemoryRetriever(BaseRetriever):
    """The `k` passages of one workspace's memory bank that answer a question best.

    Each `Document` carries `source` (posix path relative to the workspace), `heading`, `start_line`, `end_line`,
    `score` (cosine similarity, None where none was measured), `modified_at` (ISO 8601, UTC), `age_s` and `archived`.
    A workspace without a bank gives no documents.
    """

    service: MemoryService
    workspace: Path
    k: int = Field(default=8, ge=1)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        del run_manager
        found = self.service.search_blocking(self.workspace, query, k or self.k)
        return [_document(passage) for passage in found.passages]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        del run_manager
        found = await self.service.search(self.workspace, query, k or self.k)
        return [_document(passage) for passage in found.passages]


def _document(passage: Passage) -> Document:
    return Document(
        page_content=passage.text,
        id=f"{passage.content_id}:{passage.file}:{passage.start_line}",
        metadata={
            "source": passage.file,
            "heading": passage.heading,
            "start_line": passage.start_line,
            "end_line": passage.end_line,
            "score": passage.score,
            "modified_at": passage.modified_at.isoformat(),
            "age_s": max(0.0, (datetime.now(UTC) - passage.modified_at).total_seconds()),
            "archived": passage.archived,
        },
    )

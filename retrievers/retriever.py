"""The memory bank as a LangChain retriever."""

from __future__ import annotations

from pathlib import Path

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import Field

from retrievers.memory import MemoryService
from retrievers.types import Passage, Retrieval


class MemoryRetriever(BaseRetriever):
    """Ranks the passages of one workspace's memory bank; at most `k`, within `budget_tokens`.

    Each `Document` carries `source` (posix path relative to the workspace), `heading`, `start_line`,
    `end_line`, `score` (cosine similarity, None where there was no ranking) and `modified_at` (ISO 8601,
    UTC). A workspace without a bank gives no documents.
    """

    service: MemoryService
    workspace: Path
    k: int = Field(default=8, ge=1)
    budget_tokens: int = Field(default=8_000, ge=1)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        del run_manager
        found = self.service.recall_blocking(self.workspace, query, self.budget_tokens, prefer_whole=False)
        return self._documents(found, k)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        del run_manager
        found = await self.service.recall(self.workspace, query, self.budget_tokens, prefer_whole=False)
        return self._documents(found, k)

    def _documents(self, found: Retrieval, k: int | None) -> list[Document]:
        return [_document(passage) for passage in found.passages[: self.k if k is None else k]]


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
        },
    )

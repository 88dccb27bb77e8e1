"""What the routes of the memory bank answer: shown in `/docs`, made from the retrievers' own values."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from retrievers.report import BankReport
from retrievers.staleness import Verdict
from retrievers.types import BankStatus, EmbedderState, Passage, Retrieval


def _writable(value: Any) -> Any:
    """A file's name may hold bytes that no JSON can: they become `?`."""
    return str(value).encode("utf-8", "replace").decode() if value is not None else None


Text = Annotated[str, BeforeValidator(_writable)]


class _Reply(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class MissingPathReply(_Reply):
    """A path that a file mentions and that is not there."""

    path: Text
    line: int = Field(description="Where the file mentions it first, from 1.")


class FileReply(_Reply):
    """One file of the bank."""

    name: Text = Field(description="Relative to the workspace.")
    size_bytes: int
    modified_at: datetime
    age_s: float
    chunks: int
    core: bool
    archived: bool
    missing_paths: list[MissingPathReply]
    missing_count: int = Field(description="All missing paths; `missing_paths` are the first of them.")


class HeadReply(_Reply):
    """How far the repository's HEAD has moved since the active context was last touched."""

    file: Text
    touched_at: datetime = Field(description="The last commit that touched it, or a later change of the file.")
    commits: int = Field(description="Commits since that touched more than the bank, counted up to 1,000.")
    days: float = Field(description="From `touched_at` to the newest of them.")
    at_least: bool = Field(description="Both may be more: the clone is shallow.")


class StalenessReply(_Reply):
    """Whether the bank has fallen behind the project, and why."""

    verdict: Verdict
    reason: Text
    head: HeadReply | None
    mentioned_paths: int = Field(description="Different paths that live files mention.")
    missing_paths: int = Field(description="Those of them that are not there.")


class BankReply(_Reply):
    """The bank as it is indexed."""

    workspace: Text
    root: Text = Field(description="The bank's folder.")
    files: int
    size_bytes: int
    chunks: int
    vectors: int
    vectors_ready: bool
    embedder: EmbedderState
    left_out: list[Text] = Field(description="What is not read, and why.")
    redacted: int = Field(description="Keys and passwords that were replaced before the text was used.")
    note: Text | None


class StatusReply(_Reply):
    """All that is known of a workspace's bank."""

    bank: BankReply
    staleness: StalenessReply
    files: list[FileReply]


class PassageReply(_Reply):
    """A piece of the bank, as it is on disk."""

    source: Text = Field(description="The file, relative to the workspace.")
    heading: Text = Field(description="A breadcrumb like `Progress > Known issues`.")
    start_line: int
    end_line: int
    score: float | None = Field(description="Nearness to the question; null where there was no ranking.")
    tokens: int
    modified_at: datetime
    age_s: float
    archived: bool
    text: Text

    @classmethod
    def of(cls, passage: Passage, now: float) -> Self:
        """`now` in seconds since the epoch."""
        return cls(
            source=passage.file,
            heading=passage.heading,
            start_line=passage.start_line,
            end_line=passage.end_line,
            score=passage.score,
            tokens=passage.tokens or 0,
            modified_at=passage.modified_at,
            age_s=max(0.0, now - passage.modified_at.timestamp()),
            archived=passage.archived,
            text=passage.text,
        )


class SearchReply(_Reply):
    """The passages nearest to the question, best first; by words alone where `used_vectors` is false."""

    workspace: Text
    passages: list[PassageReply]
    used_vectors: bool
    note: Text | None = Field(description="What was not possible, and why.")


class _Error(BaseModel):
    message: str
    type: str
    param: str | None
    code: str


class ErrorReply(BaseModel):
    """OpenAI's error object."""

    error: _Error


def status_reply(report: BankReport) -> StatusReply:
    """For a workspace that has a bank."""
    return StatusReply.model_validate({"bank": report.status, "staleness": report.staleness, "files": report.files})


def bank_reply(status: BankStatus) -> BankReply:
    """For a workspace that has a bank."""
    return BankReply.model_validate(status)


def search_reply(status: BankStatus, found: Retrieval, k: int) -> SearchReply:
    """The first `k` passages."""
    now = time.time()
    passages = [PassageReply.of(passage, now) for passage in found.passages[:k]]
    return SearchReply(
        workspace=str(status.workspace), passages=passages, used_vectors=found.used_vectors, note=found.note
    )

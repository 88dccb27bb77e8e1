from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from retrievers.memory import MemoryService
from retrievers.reading import read_text
from retrievers.roles import ROLES
from retrievers.types import BankFile
from tests.retrievers.memory_support import WordEmbedder, two_core_files, write_bank
from tests.retrievers.service_support import LARGE, indexed, service_of, text_of


async def test_an_index_build_never_delays_a_recall(tmp_path: Path, workspace: Path) -> None:
    class Held(WordEmbedder):
        released = threading.Event()

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            assert self.released.wait(10)
            return super().embed_documents(texts)

    embedder = Held()
    service = service_of(tmp_path, embedder)
    for _ in range(3):
        found = await service.recall(workspace, "Drift of sensors", 400)
        assert found.passages
        assert found.note is not None
        assert found.note.startswith("The memory bank is still being indexed.")
    embedder.released.set()
    assert service.wait_indexed(10)
    assert (await service.recall(workspace, "Drift of sensors", 400)).used_vectors
    assert len(embedder.embedded) == len(set(embedder.embedded)), "three recalls, one build"
    await service.aclose()


async def test_an_edit_is_seen_by_the_next_recall(service: MemoryService, workspace: Path) -> None:
    await indexed(service, workspace)
    progress = workspace / "memory-bank" / "progress.md"
    before = progress.read_text()
    stamp = progress.stat()
    # Same size and same time of modification, as a restored backup has them.
    progress.write_text(before.replace("Drift of sensors", "Clock of sensors"))
    os.utime(progress, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    found = await service.recall(workspace, "sensors", 900)
    assert found.used_vectors
    assert "Clock of sensors" in text_of(found)
    assert "Drift of sensors\n" not in text_of(found)
    assert service.wait_indexed(10)
    found = await service.recall(workspace, "Clock of sensors", 400)
    assert "Clock of sensors" in found.passages[0].text
    assert found.note is None


async def test_deleted_and_moved_text_is_never_returned(service: MemoryService, workspace: Path) -> None:
    await indexed(service, workspace)
    bank = workspace / "memory-bank"
    (bank / "progress.md").unlink()
    (bank / "techContext.md").rename(bank / "storage.md")
    found = await service.recall(workspace, "Drift of sensors, Postgres keeps gauges", 5_000, prefer_whole=False)
    files = {passage.file for passage in found.passages}
    assert "memory-bank/storage.md" in files
    assert not files & {"memory-bank/progress.md", "memory-bank/techContext.md"}


async def test_a_bank_may_vanish_and_come_back(service: MemoryService, workspace: Path) -> None:
    await indexed(service, workspace)
    shutil.move(workspace / "memory-bank", workspace / "away")
    found = await service.recall(workspace, "Drift", 400)
    assert (found.passages, found.note) == ((), "No memory bank was found in the workspace.")
    shutil.move(workspace / "away", workspace / "cline_docs")
    found = await service.recall(workspace, "Drift", 400)
    assert found.passages[0].file.startswith("cline_docs/")


async def test_banks_not_used_for_longest_are_let_go(tmp_path: Path) -> None:
    embedder = WordEmbedder()
    service = service_of(tmp_path, embedder, max_open_banks=1)
    for name in ("one", "two", "one"):
        write_bank(tmp_path / name / "memory-bank", two_core_files())
        await indexed(service, tmp_path / name)
        assert (await service.recall(tmp_path / name, "importer", 100, prefer_whole=False)).passages
    once = 2 * (2 + 2) + 2 * len(ROLES)
    assert len(embedder.embedded) == once, "the first bank's vectors came from disk the second time"
    await service.aclose()


async def test_after_closing_nothing_is_indexed(service: MemoryService, workspace: Path) -> None:
    await service.aclose()
    assert (await service.recall(workspace, "Drift", 400)).passages
    assert not (await service.status(workspace)).vectors_ready


class SlowEmbedder(WordEmbedder):
    """Waits for `go` before each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.go.wait(10)
        return super().embed_documents(texts)


async def test_a_bank_that_is_being_built_is_not_closed(tmp_path: Path, workspace: Path) -> None:
    write_bank(tmp_path / "other" / "memory-bank", {name: f"{text}\nother" for name, text in LARGE.items()})
    embedder = SlowEmbedder()
    service = service_of(tmp_path, embedder, max_open_banks=1)
    await service.status(workspace)
    await service.status(tmp_path / "other")
    assert len(service.indexes()) == 2
    embedder.go.set()
    assert service.wait_indexed(20)
    assert [(index.vectors > 0, index.problem) for index in service.indexes()] == [(True, None)] * 2
    assert (await service.status(tmp_path / "other")).vectors_ready
    assert len(service.indexes()) == 1
    await service.aclose()


@pytest.mark.parametrize("with_vectors", [True, False])
async def test_text_is_cut_once_for_all_workspaces_and_starts(
    tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch, *, with_vectors: bool
) -> None:
    below = workspace / "packages" / "a"
    below.mkdir(parents=True)
    (workspace / ".git").mkdir()
    embedder = WordEmbedder() if with_vectors else None
    service = service_of(tmp_path, embedder)
    await indexed(service, workspace)

    def never(*_: object) -> None:
        raise AssertionError("it is known")

    monkeypatch.setattr("retrievers.corpus.cut_text", never)
    monkeypatch.setattr("retrievers.words.WordIndex.of_passages", never)
    for where, name in ((below, "../../memory-bank/progress.md"), (workspace, "memory-bank/progress.md")) * 2:
        found = await service.recall(where, "Drift of sensors", 400)
        assert found.passages[0].file == name
    await service.aclose()
    again = service_of(tmp_path, embedder)
    assert (await again.recall(workspace, "Drift of sensors", 400)).passages
    await again.aclose()


async def test_text_that_only_moved_is_kept_too(tmp_path: Path, service: MemoryService, workspace: Path) -> None:
    await indexed(service, workspace)
    (workspace / "memory-bank" / "progress.md").rename(workspace / "memory-bank" / "history.md")
    opened = service._banks.open(workspace)
    assert not isinstance(opened, str)
    assert not opened.is_kept()
    await indexed(service, workspace)
    assert opened.is_kept()


async def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(file: BankFile, *, max_file_bytes: int) -> str | None:
        return None if file.path.name == "techContext.md" else read_text(file, max_file_bytes=max_file_bytes)

    monkeypatch.setattr("retrievers.corpus.read_text", read)
    service = service_of(tmp_path, None)
    status = await service.status(workspace)
    assert status.left_out == ("memory-bank/techContext.md: cannot be read",)
    assert status.files == len(LARGE) - 1
    await service.aclose()

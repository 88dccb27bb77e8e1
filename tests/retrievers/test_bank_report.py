"""`MemoryService.report` and `refresh`, over banks in real repositories."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from retrievers.memory import MemoryService
from retrievers.report import MISSING_SHOWN, described_folder
from retrievers.types import MemoryBank
from tests.retrievers.git_support import Repo, needs_git
from tests.retrievers.memory_support import WordEmbedder, count_words, two_core_files, write_bank

BANK = {
    "memory-bank/projectbrief.md": "# Brief\n\nThe pump is in `src/pump.ts`.\n",
    "memory-bank/activeContext.md": "# Active\n\n## Now\n\nThe tank, `src/tank.ts`.\n",
    "memory-bank/archive/old.md": "`src/gone.ts`\n",
}
CODE = {"src/pump.ts": "1", "src/tank.ts": "1"}


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = Repo((tmp_path / "greenhouse").resolve())
    repo.commit({**CODE, **BANK})
    return repo


@needs_git
async def test_each_file_is_told(service: MemoryService, repo: Repo) -> None:
    active = repo.folder / "memory-bank" / "activeContext.md"
    os.utime(active, (time.time() - 7_200,) * 2)
    (repo.folder / "src" / "tank.ts").unlink()
    report = await service.report(repo.folder)
    assert (report.status.root, report.status.files) == (repo.folder / "memory-bank", 3)
    files = {file.name: file for file in report.files}
    assert list(files) == ["memory-bank/projectbrief.md", "memory-bank/activeContext.md", "memory-bank/archive/old.md"]
    told = files["memory-bank/activeContext.md"]
    assert told.size_bytes == active.stat().st_size
    assert told.age_s == pytest.approx(7_200, abs=60)
    assert told.modified_at.timestamp() == pytest.approx(active.stat().st_mtime)
    assert (told.core, told.archived, told.chunks) == (True, False, 1)
    assert [(path.path, path.line) for path in told.missing_paths] == [("src/tank.ts", 5)]
    assert files["memory-bank/projectbrief.md"].missing_paths == ()
    assert files["memory-bank/archive/old.md"].archived
    assert files["memory-bank/archive/old.md"].missing_count == 0
    assert report.staleness is not None
    assert (report.staleness.mentioned_paths, report.staleness.missing_paths) == (2, 1)


@needs_git
async def test_a_bank_that_is_left_behind_becomes_stale_and_fresh_again(service: MemoryService, repo: Repo) -> None:
    async def verdict() -> str:
        staleness = (await service.report(repo.folder)).staleness
        assert staleness is not None
        return staleness.verdict

    assert await verdict() == "fresh"
    repo.commit({"src/pump.ts": "2"}, days_later=19)
    assert await verdict() == "stale"
    repo.commit({"memory-bank/activeContext.md": "# Active\n\nThe pump again.\n"})
    assert await verdict() == "fresh"


@needs_git
async def test_missing_paths_are_bounded_and_counted(service: MemoryService, repo: Repo) -> None:
    repo.commit({"memory-bank/progress.md": "\n".join(f"src/gone{number}.ts" for number in range(50))})
    report = await service.report(repo.folder)
    told = next(file for file in report.files if file.name.endswith("progress.md"))
    assert (len(told.missing_paths), told.missing_count) == (MISSING_SHOWN, 50)
    assert report.staleness is not None
    assert report.staleness.verdict == "stale"


async def test_without_a_repository_the_verdict_is_unknown(service: MemoryService, tmp_path: Path) -> None:
    write_bank(tmp_path / "greenhouse", BANK)
    report = await service.report(tmp_path / "greenhouse")
    assert report.staleness is not None
    assert report.staleness.verdict == "unknown"
    assert report.staleness.head is None
    assert len(report.files) == 3


@pytest.mark.parametrize("place", ["relative", "/no/such/folder", "/nul\0byte", "/" + "x" * 10_000, "/\udcff"])
async def test_without_a_bank_the_status_says_why(service: MemoryService, place: str) -> None:
    report = await service.report(Path(place))
    assert report.staleness is None
    assert report.files == ()
    assert report.status.root is None
    assert report.status.note
    assert (await service.refresh(Path(place))).root is None


async def test_refresh_looks_afresh_and_schedules_the_index(
    service: MemoryService, embedder: WordEmbedder, tmp_path: Path
) -> None:
    write_bank(tmp_path / "greenhouse" / "memory-bank", two_core_files())
    first = await service.refresh(tmp_path / "greenhouse")
    assert first.chunks == 2
    assert service.wait_indexed(10)
    embedded = len(embedder.embedded)
    again = await service.refresh(tmp_path / "greenhouse")
    assert again.root == first.root
    assert service.wait_indexed(10)
    assert (await service.status(tmp_path / "greenhouse")).vectors_ready
    assert len(embedder.embedded) == embedded, "what is on disk is not embedded again"
    shutil.rmtree(tmp_path / "vectors")
    await service.refresh(tmp_path / "greenhouse")
    assert service.wait_indexed(10)
    assert len(embedder.embedded) == 2 * embedded, "an index that somebody deleted is built again"


async def test_refresh_waits_for_no_build_and_leaves_a_running_one_alone(tmp_path: Path) -> None:
    class Held(WordEmbedder):
        started, released = threading.Event(), threading.Event()

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            self.started.set()
            assert self.released.wait(10)
            return super().embed_documents(texts)

    embedder = Held()
    service = MemoryService(vector_store_path=tmp_path / "vectors", embedder=embedder, count_tokens=count_words)
    write_bank(tmp_path / "greenhouse" / "memory-bank", two_core_files())
    await service.refresh(tmp_path / "greenhouse")
    assert embedder.started.wait(10)
    for _ in range(3):
        assert not (await service.refresh(tmp_path / "greenhouse")).vectors_ready
    embedder.released.set()
    assert service.wait_indexed(10)
    assert (await service.status(tmp_path / "greenhouse")).vectors_ready
    assert len(embedder.embedded) == len(set(embedder.embedded)), "built once"
    await service.aclose()


@pytest.mark.parametrize(
    ("root", "folder"),
    [
        ("/w/memory-bank", "/w"),
        ("/w/.kilocode/rules/memory-bank", "/w"),
        ("/w/packages/a/.cursor/memory-bank", "/w/packages/a"),
        ("/w/packages/a/Memory_Bank", "/w/packages/a"),
        ("/w/notes", "/w"),
        ("/w", "/w"),
        ("/memory-bank", "/"),
        ("/elsewhere", "/elsewhere"),
    ],
)
def test_the_folder_that_a_bank_describes(root: str, folder: str) -> None:
    assert described_folder(MemoryBank(Path(root), Path("/w"), ())) == Path(folder)
    assert described_folder(MemoryBank(Path("/docs"), Path("/docs"), ())) == Path("/docs")

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrievers.lines import GAP
from retrievers.memory import MemoryService
from retrievers.packing import DOUBTFUL_TOKENS
from tests.retrievers.memory_support import WordEmbedder, count_words, two_core_files, words, write_bank
from tests.retrievers.service_support import LARGE, indexed, service_of, text_of


async def test_a_bank_that_fits_goes_in_whole_in_reading_order(tmp_path: Path, service: MemoryService) -> None:
    write_bank(tmp_path / "small" / "memory-bank", {**two_core_files(), "blank.md": "\n \n"})
    found = await service.recall(tmp_path / "small", "anything", 1_000)
    assert [passage.file for passage in found.passages] == [
        "memory-bank/projectbrief.md",
        "memory-bank/progress.md",
    ]
    assert found.whole
    assert found.note is None
    assert text_of(found) == "".join(two_core_files().values())
    assert found.tokens == sum(count_words(passage.rendered) for passage in found.passages)


async def test_the_best_passages_come_first(service: MemoryService, workspace: Path) -> None:
    await indexed(service, workspace)
    found = await service.recall(workspace, "Drift of sensors", 400)
    assert found.used_vectors
    assert not found.whole
    best = found.passages[0]
    assert (best.file, best.heading) == ("memory-bank/progress.md", "Progress > Known issues")
    assert best.score is not None
    assert best.source == "memory-bank/progress.md#Progress > Known issues"
    lines = (workspace / best.file).read_text().splitlines()
    assert "Drift of sensors" in best.text
    assert set(best.text.splitlines()) - {GAP} <= set(lines[best.start_line - 1 : best.end_line])


async def test_archived_text_ranks_below_live_text(service: MemoryService, workspace: Path) -> None:
    await indexed(service, workspace)
    found = await service.search(workspace, "Drift of sensors, long ago", 20)
    archived = [passage.archived for passage in found.passages if "Drift of sensors" in passage.text]
    assert archived == [False, True]


async def test_of_two_that_say_the_same_the_newer_comes_first(tmp_path: Path, service: MemoryService) -> None:
    files = {
        "projectbrief.md": f"# Brief\n{words(300, 'brief')}",
        "progress.md": f"# Progress\n## 2025-03-01\nThe importer is broken.\n{words(120, 'march')}\n"
        f"## 2025-04-02\nThe importer is mended.\n{words(120, 'april')}",
        "activeContext.md": f"# Now\nThe importer is slow.\n{words(150, 'now')}",
    }
    bank = write_bank(tmp_path / "dated" / "memory-bank", files)
    os.utime(bank / "activeContext.md", (1_600_000_000, 1_600_000_000))
    await indexed(service, tmp_path / "dated")
    found = await service.search(tmp_path / "dated", "the importer is", 8)
    said = [passage.text.partition("importer is ")[2].split(".")[0] for passage in found.passages]
    assert said.index("mended") < said.index("broken")


async def test_who_asks_for_the_bank_gets_its_core_files_first(service: MemoryService, workspace: Path) -> None:
    await indexed(service, workspace)
    found = await service.recall(workspace, "read the memory bank", 700)
    assert found.passages[0].file == "memory-bank/projectbrief.md"
    assert not found.whole
    assert (await service.recall(workspace, "read the memory bank", 5_000, prefer_whole=False)).whole


async def test_a_question_that_nothing_answers_gets_little(service: MemoryService, workspace: Path) -> None:
    await indexed(service, workspace)
    found = await service.recall(workspace, "kerberos certificates of the payroll", 5_000, prefer_whole=False)
    assert found.tokens <= DOUBTFUL_TOKENS
    answered = await service.recall(workspace, "Drift of sensors", 5_000, prefer_whole=False)
    assert answered.tokens > 2 * DOUBTFUL_TOKENS


async def test_without_vectors_words_rank_and_the_note_says_why(tmp_path: Path, workspace: Path) -> None:
    for embedder, why in [
        (None, "Vectors are switched off."),
        (WordEmbedder(state="loading"), "The embedder is still loading."),
        (WordEmbedder(state="failed"), "Install the words."),
    ]:
        service = service_of(tmp_path, embedder)
        found = await service.recall(workspace, "Drift of sensors", 400)
        assert not found.used_vectors
        assert found.note is not None
        assert found.note.startswith(why)
        assert found.passages[0].file == "memory-bank/progress.md"
        assert "Drift of sensors" in found.passages[0].text
        await service.aclose()


async def test_workspaces_outside_the_roots_are_not_read(tmp_path: Path, workspace: Path) -> None:
    service = service_of(tmp_path, WordEmbedder(), workspace_roots=(tmp_path / "allowed",))
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "link").symlink_to(workspace, target_is_directory=True)
    sneaky = [workspace, tmp_path / "allowed" / ".." / "project", tmp_path / "allowed" / "link"]
    for place in sneaky:
        found = await service.recall(place, "Drift", 400)
        assert found.passages == ()
        assert found.note is not None
        assert "workspace_roots" in found.note
    write_bank(tmp_path / "allowed" / "mine" / "memory-bank", two_core_files())
    assert (await service.recall(tmp_path / "allowed" / "mine", "Drift", 400)).passages
    await service.aclose()


@pytest.mark.parametrize("place", ["relative/path", "/no/such/folder", "/nul\0byte", "C:\\Users\\me\\project"])
async def test_a_bad_workspace_gives_nothing_and_a_note(service: MemoryService, place: str) -> None:
    found = await service.recall(Path(place), "Drift", 400)
    assert found.passages == ()
    assert found.note


async def test_a_query_vector_is_taken_as_it_is(
    service: MemoryService, workspace: Path, embedder: WordEmbedder
) -> None:
    await indexed(service, workspace)
    vector = embedder.embed_query("Drift of sensors")
    embedder.queries.clear()
    found = await service.recall(workspace, "something else", 400, query_vector=vector)
    assert "memory-bank/progress.md" in {passage.file for passage in found.passages}
    assert embedder.queries == []
    short = await service.recall(workspace, "something else", 400, query_vector=[1.0, 0.0])
    assert not short.used_vectors
    assert short.note is not None
    assert "dimension" in short.note
    assert short.passages


async def test_status(tmp_path: Path, service: MemoryService, workspace: Path) -> None:
    first = await service.status(workspace)
    assert first.root == (workspace / "memory-bank").resolve()
    assert first.files == len(LARGE)
    assert first.size_bytes == sum(len(text) for text in LARGE.values())
    assert service.wait_indexed(10)
    second = await service.status(workspace)
    assert second.vectors_ready
    assert second.vectors == second.chunks > 0
    missing = await service.status(tmp_path / "missing")
    assert missing.root is None
    assert missing.note


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(budget=st.integers(-5, 1_500), query=st.text(max_size=30), whole=st.booleans())
def test_the_budget_is_never_exceeded(tmp_path: Path, budget: int, query: str, *, whole: bool) -> None:
    write_bank(tmp_path / "project" / "memory-bank", LARGE)
    service = service_of(tmp_path, WordEmbedder())
    place = tmp_path / "project"
    for _ in range(2):  # without vectors, and with them
        found = service.recall_blocking(place, query, budget, prefer_whole=whole)
        spent = sum(count_words(f"{passage.source}\n{passage.text}") for passage in found.passages)
        assert spent == found.tokens <= max(0, budget)
        assert service.wait_indexed(10)


@pytest.mark.parametrize("with_vectors", [True, False])
async def test_as_many_passages_are_found_as_are_asked_for(
    tmp_path: Path, embedder: WordEmbedder, with_vectors: bool
) -> None:
    many = "\n".join(f"## Part {number}\nDrift of sensors\n{words(150, f'part{number}n')}" for number in range(60))
    write_bank(tmp_path / "many" / "memory-bank", {**two_core_files(), "notes.md": f"# Notes\n{many}"})
    service = service_of(tmp_path, embedder if with_vectors else None)
    await indexed(service, tmp_path / "many")
    found = await service.search(tmp_path / "many", "Drift of sensors", 50)
    assert found.used_vectors == with_vectors
    assert len(found.passages) == 50
    assert len({passage.content_id for passage in found.passages}) == 50
    await service.aclose()


class StrictEmbedder(WordEmbedder):
    """Refuses what is no text, as tokenizers do."""

    def embed_query(self, text: str) -> list[float]:
        text.encode("utf-8")
        return super().embed_query(text)


async def test_half_a_surrogate_pair_is_no_obstacle(tmp_path: Path, workspace: Path) -> None:
    service = service_of(tmp_path, StrictEmbedder(), prefer_whole=False)
    await indexed(service, workspace)
    assert (await service.recall(workspace, "Drift of sensors \ud83d", 400)).used_vectors
    found = await service.search(workspace, "\udc00 Drift of sensors", 5)
    assert found.used_vectors
    assert "Drift of sensors" in found.passages[0].text
    await service.aclose()


async def test_the_note_on_a_bank_that_does_not_go_in_whole_is_true(tmp_path: Path, workspace: Path) -> None:
    service = service_of(tmp_path, None, whole_bank_tokens=100)
    found = await service.recall(workspace, "read the memory bank", 100_000)
    assert not found.whole
    assert found.note is not None
    assert found.note.startswith("The memory bank takes more than 100 tokens.")
    await service.aclose()

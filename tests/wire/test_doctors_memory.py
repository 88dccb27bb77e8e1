"""The doctor's look at memory: the embedder, the stores, the bank and its age."""

from __future__ import annotations

from pathlib import Path

from backends.findings import Finding
from backends.ollama_settings import OllamaSettings
from config.errors import MemoryUnavailable
from retrievers.memory import MemoryService
from tests.backends.model_service_support import NOWHERE
from tests.retrievers.memory_support import WordEmbedder, count_words, two_core_files, write_bank
from tests.support.service import settings_for
from wire.doctor import examine


class NoEmbedder(WordEmbedder):
    def embed_query(self, text: str) -> list[float]:
        raise MemoryUnavailable(f"The embedding model is not there to embed {text!r}: install it.")


async def found(
    folder: Path, workspace: Path, embedder: WordEmbedder | None = None, **memory: object
) -> dict[str, list[Finding]]:
    settings = settings_for(NOWHERE, folder, memory={"enabled": True, **memory}, server={"host": "::"})
    service = MemoryService(
        vector_store_path=settings.paths.vector_store_path,
        embedder=embedder or WordEmbedder(),
        count_tokens=count_words,
    )
    try:
        findings = await examine(settings, service, OllamaSettings({}), workspace)
    finally:
        await service.aclose()
    return {each.check: [other for other in findings if other.check == each.check] for each in findings}


async def test_a_bank_that_is_there(tmp_path: Path) -> None:
    write_bank(tmp_path / "memory-bank", two_core_files())
    checks = await found(tmp_path, tmp_path)
    assert [each.level for each in checks["stores"]] == ["ok", "ok"]
    assert checks["embedder"][0].message.startswith("words: 512 dimensions, ready after ")
    assert (checks["memory bank"][0].level, "2 files" in checks["memory bank"][0].message) == ("ok", True)
    assert checks["Ollama"][0].level == "error"
    assert checks["Cline"][0].message == "Base URL: http://[::1]:8000/v1"
    assert not list(tmp_path.glob("vector_stores/*doctor*"))  # noqa: ASYNC240 - nothing else runs


async def test_no_bank(tmp_path: Path) -> None:
    bank = (await found(tmp_path, tmp_path))["memory bank"][0]
    assert bank.level == "warning"
    assert str(tmp_path) in bank.message
    assert "projectbrief.md" in str(bank.fix)


async def test_a_bank_that_mentions_what_is_gone(tmp_path: Path) -> None:
    gone = "".join(f"- `src/part_{number}/module_{number}.py` does it\n" for number in range(20))
    write_bank(tmp_path / "memory-bank", {**two_core_files(), "systemPatterns.md": f"# Parts\n\n{gone}"})
    bank = (await found(tmp_path, tmp_path))["memory bank"][0]
    assert (bank.level, bank.fix) == ("warning", "ask Cline to `update memory bank`")
    assert "stale: " in bank.message


async def test_an_embedder_that_fails_costs_the_vectors_only(tmp_path: Path) -> None:
    embedder = (await found(tmp_path, tmp_path, embedder=NoEmbedder()))["embedder"][0]
    assert (embedder.level, embedder.fix) == ("warning", "install it")
    assert "ranked by words only" in embedder.message


async def test_a_store_that_does_not_answer(tmp_path: Path) -> None:
    store = (await found(tmp_path, tmp_path, store="qdrant", qdrant_url=NOWHERE))["stores"][-1]
    assert (store.level, "127.0.0.1:1" in store.message) == ("error", True)
    assert store.fix


async def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "vector_stores").write_text("a file is in the way", encoding="utf-8")
    store = (await found(tmp_path, tmp_path))["stores"][0]
    assert (store.level, "VECTOR_STORE_PATH" in str(store.fix)) == ("error", True)

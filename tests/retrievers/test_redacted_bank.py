from __future__ import annotations

from pathlib import Path

from retrievers.memory import MemoryService
from tests.retrievers.memory_support import WordEmbedder, count_words, two_core_files, words, write_bank

PASSWORD = "tide" + "-Gauge-" + "77!"
TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"


async def test_no_secret_is_indexed_embedded_or_recalled(tmp_path: Path) -> None:
    tech = f"# Tech\n\n## {TOKEN}\n\n{words(120)}\nPOSTGRES_PASSWORD={PASSWORD}\n\n## Harbour\n\nPilots wait.\n"
    bank = write_bank(tmp_path / "project" / "memory-bank", {**two_core_files(), "techContext.md": tech})
    embedder = WordEmbedder()
    service = MemoryService(vector_store_path=tmp_path / "vectors", embedder=embedder, count_tokens=count_words)
    await service.status(tmp_path / "project")
    assert service.wait_indexed(10)
    for whole in (True, False):
        found = await service.recall(tmp_path / "project", "Pilots wait", 2_000, prefer_whole=whole)
        shown = "\n".join(passage.rendered for passage in found.passages)
        assert found.whole == whole
        assert "POSTGRES_PASSWORD=[redacted: password]" in shown
        assert "[redacted: GitHub token]" in shown
        assert not {PASSWORD, TOKEN} & set(shown.replace("=", " ").split())
        lines = (bank / "techContext.md").read_text().splitlines()
        for passage in found.passages:
            if passage.text.endswith("Pilots wait.\n"):
                assert passage.end_line == len(lines), "line numbers are those of the file"
    assert not any(PASSWORD in text or TOKEN in text for text in embedder.embedded)
    for file in (tmp_path / "vectors").rglob("*"):
        assert file.is_dir() or not any(secret.encode() in file.read_bytes() for secret in (PASSWORD, TOKEN))
    assert (await service.status(tmp_path / "project")).redacted == 2
    (bank / "techContext.md").write_text(tech.replace(PASSWORD, "${PASSWORD}"))
    assert (await service.status(tmp_path / "project")).redacted == 1
    await service.aclose()

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from config.errors import MemoryUnavailable
from retrievers.embeddings import MODEL_NAME, LocalEmbedder, find_model
from retrievers.memory import MemoryService
from retrievers.minilm import MiniLM, ShortWay
from tests.retrievers.memory_support import count_words, words, write_bank

ROOT = Path(__file__).resolve().parents[2]


def no_network(*arguments: object, **options: object) -> None:
    raise AssertionError("the embedder asked the network")


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    """Loaded once, with the network taken away."""
    embedder = LocalEmbedder()
    assert embedder.status().state == "not loaded"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", no_network)
        patch.setattr(socket.socket, "connect", no_network)
        embedder.start_loading()
        embedder.start_loading()
        assert embedder.wait_until_loaded(90), embedder.status()
    assert (os.environ["HF_HUB_OFFLINE"], os.environ["TRANSFORMERS_OFFLINE"]) == ("1", "1")
    assert "OMP_WAIT_POLICY" in os.environ, "spinning threads collapse on a busy machine"
    return embedder


def test_vectors_are_normalised_rows_in_the_order_of_the_texts(embedder: LocalEmbedder) -> None:
    texts = ["a long sentence about tide gauges " * 20, "cat", "dog", "harbour wall", "bread", "x"]
    rows = embedder.embed_array(texts)
    assert rows.shape == (6, 384)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    for row, text in zip(rows, texts, strict=True):
        assert row @ embedder.embed_query(text) > (0.98 if len(text) < 100 else 0.9)
    assert embedder.embed_array([]).shape == (0, 384)


@pytest.mark.parametrize(
    "question",
    [
        "",
        "  ",
        "?",
        "Which port does the tide gauge use?",
        "潮位計のポートは？",
        "Où est le port ?\n```py\nx = 1\n```",
        words(60),
    ],
)
def test_a_question_has_nearly_the_vector_it_would_have_as_a_passage(embedder: LocalEmbedder, question: str) -> None:
    """It goes a shorter way through the model, in which most weights are of eight bits."""
    as_question, as_passage = np.array(embedder.embed_query(question)), embedder.embed_array([question])[0]
    assert as_question @ as_passage > 0.98
    assert np.linalg.norm(as_question) == pytest.approx(1, abs=1e-5)


def test_of_a_long_question_both_ends_are_read(embedder: LocalEmbedder) -> None:
    ask, pasted, wish = "Why does the tide gauge stop? ", "log line ", " Please fix the reader."
    long = np.array(embedder.embed_query(ask + pasted * 100 + wish))
    assert long == pytest.approx(embedder.embed_query(ask + pasted * 900 + wish))
    assert not np.allclose(long, embedder.embed_query(ask + pasted * 100), atol=1e-2)
    assert not np.allclose(long, embedder.embed_query(pasted * 100 + wish), atol=1e-2)


def test_the_same_question_is_embedded_once(embedder: LocalEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    question = "Who asks this twice?"
    first = embedder.embed_query(question)
    kept = first.copy()
    first.clear()
    monkeypatch.setattr(embedder._model, "query", None)
    assert embedder.embed_query(question) == kept


def test_where_weights_cannot_be_packed_the_vectors_are_equal(
    embedder: LocalEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = find_model(None)
    assert place is not None
    monkeypatch.setattr("torch.backends.quantized", SimpleNamespace(supported_engines=["qnnpack"]))
    question = "Which port does the tide gauge use?"
    assert np.allclose(MiniLM(place, threads=1).query(question), embedder.embed_array([question])[0], atol=1e-5)


def test_a_model_built_in_another_way_is_asked_as_its_library_does(
    embedder: LocalEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = find_model(None)
    assert place is not None
    monkeypatch.setattr(ShortWay, "__call__", lambda *_: np.zeros(384))
    question = "Which port does the tide gauge use?"
    assert np.allclose(MiniLM(place, threads=1).query(question), embedder.embed_array([question])[0], atol=1e-5)


@pytest.mark.parametrize("unit", ["a", "word ", "x_1+=2;", "unverändert ", "漢字", "😀", "a" * 90 + " ", "\n\n\t- b"])
def test_windows_are_read_whole_and_make_up_the_text(embedder: LocalEmbedder, unit: str) -> None:
    model = embedder._model
    assert model is not None
    for times in (1, 253, 254, 255, 700):
        text = unit * times
        (windows,) = embedder.windows([text])
        assert "".join("".join(each.text for each in windows).split()) == "".join(text.split())
        for each in windows:
            pieces = model._model.tokenizer(each.text)["input_ids"]
            assert len(pieces) <= 256
            assert each.tokens == max(1, len(pieces) - 2)


async def test_the_event_loop_is_free_while_embedding(embedder: LocalEmbedder) -> None:
    """A query gets its turn while many documents are embedded."""
    documents = asyncio.create_task(embedder.aembed_documents([f"{number} {words(60)}" for number in range(24)]))
    await embedder.aembed_query("ahead of the queue")
    assert not documents.done()
    assert len(await documents) == 24


async def test_a_paraphrased_question_finds_its_passage(tmp_path: Path, embedder: LocalEmbedder) -> None:
    write_bank(
        tmp_path / "memory-bank",
        {
            "projectbrief.md": "# Harbour desk\n\nPilots book berths for ships at the quay.\n",
            "techContext.md": "# Storage\n\nAll bookings are kept in PostgreSQL 16, in one schema.\n",
            "systemPatterns.md": "# Patterns\n\nEvery write goes through an outbox before mail is sent.\n",
            "progress.md": "# Known issues\n\nThe calendar is off by a day when clocks change in spring.\n",
        },
    )
    service = MemoryService(
        vector_store_path=tmp_path / "vectors",
        embedder=embedder,
        count_tokens=count_words,
        prefer_whole=False,
    )
    await service.status(tmp_path)
    assert service.wait_indexed(30)
    for question, file in [
        ("Is there a bug with daylight saving time?", "progress.md"),
        ("Which SQL database holds the reservations?", "techContext.md"),
        ("How do we make sure that e-mails are not lost?", "systemPatterns.md"),
    ]:
        found = await service.recall(tmp_path, question, 60)
        assert found.used_vectors
        assert found.passages[0].file == f"memory-bank/{file}", question
    await service.aclose()


def test_the_shared_banks_can_be_indexed_and_asked(tmp_path: Path, embedder: LocalEmbedder) -> None:
    banks = ROOT.parent / "shared" / "data" / "memory_banks"
    if not banks.is_dir():
        pytest.skip("../shared/data/memory_banks is not there")
    service = MemoryService(vector_store_path=tmp_path, embedder=embedder, count_tokens=count_words)
    workspaces = [place for place in sorted(banks.iterdir()) if place.is_dir()]
    assert workspaces
    for workspace in workspaces[:2]:
        service.recall_blocking(workspace, "What is the project?", 1_000)
        assert service.wait_indexed(60)
        found = service.recall_blocking(workspace, "What is the project?", 600, prefer_whole=False)
        assert found.used_vectors
        assert 0 < found.tokens <= 600


def test_a_model_in_the_cache_folder_wins_over_the_packaged_one(tmp_path: Path) -> None:
    packaged = find_model(None)
    assert packaged is not None
    assert find_model(tmp_path) == packaged
    for place in (
        tmp_path / "hub" / f"models--sentence-transformers--{MODEL_NAME}" / "snapshots" / "abc",
        tmp_path / "plain" / MODEL_NAME,
    ):
        write_bank(place, {"modules.json": "[]"})
        assert find_model(tmp_path / place.relative_to(tmp_path).parts[0]) == place
    assert find_model(tmp_path / "plain" / MODEL_NAME) == tmp_path / "plain" / MODEL_NAME


def test_a_model_that_cannot_be_loaded_is_a_state_not_a_crash(tmp_path: Path) -> None:
    write_bank(tmp_path / MODEL_NAME, {"modules.json": "{broken"})
    broken = LocalEmbedder(model_dir=tmp_path)
    assert not broken.wait_until_loaded(60)
    status = broken.status()
    assert status.state == "failed"
    assert status.detail is not None
    assert "reinstall" in status.detail
    with pytest.raises(MemoryUnavailable, match="reinstall"):
        broken.embed_query("x")


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def test_missing_libraries_are_a_state_with_a_fix() -> None:
    code = """
import sys
sys.modules["sentence_transformers"] = None
from retrievers.embeddings import LocalEmbedder
embedder = LocalEmbedder()
assert not embedder.wait_until_loaded(30)
print(embedder.status().state, embedder.status().detail)
"""
    assert run_python(code).startswith("failed sentence_transformers cannot be imported; `pip install")


def test_importing_does_nothing_heavy() -> None:
    code = """
import sys, threading
import retrievers.embeddings, retrievers.memory, retrievers.retriever, retrievers.stores.faiss
heavy = {"torch", "faiss", "sentence_transformers", "transformers", "chromadb", "qdrant_client"}
print(sorted(heavy & set(sys.modules)), threading.active_count())
"""
    assert run_python(code) == "[] 1"


def test_loading_does_not_block_its_caller() -> None:
    started = threading.Event()

    class Held(LocalEmbedder):
        def _open_model(self) -> MiniLM:
            assert started.wait(10)
            return cast("MiniLM", object())

    embedder = Held()
    embedder.start_loading()
    assert embedder.status().state == "loading"
    assert not embedder.is_ready
    started.set()
    assert embedder.wait_until_loaded(10)


def test_loading_leaves_a_quiet_moment_to_who_began_it() -> None:
    class Noted(LocalEmbedder):
        def _open_model(self) -> MiniLM:
            self.opened_at = time.monotonic()
            return cast("MiniLM", object())

    embedder = Noted(quiet_s=0.05)
    began = time.monotonic()
    embedder.start_loading()
    assert embedder.status().state == "loading"
    assert embedder.wait_until_loaded(10)
    assert embedder.opened_at - began >= 0.05

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest

from config.errors import MemoryUnavailable
from retrievers.memory import MemoryService
from retrievers.ollama_embeddings import RETRY_AFTER_S, EmbedTimeouts, OllamaEmbedder
from retrievers.types import EmbedderState
from tests.retrievers.memory_support import count_words, words, write_bank
from tests.support.ollama_embedding import EMBEDDING_DIMENSION
from tests.support.scripted_ollama import Model, Reply, ScriptedOllama

MODEL = "nomic-embed-text"
OTHER = "all-minilm"


@pytest.fixture
async def ollama() -> AsyncIterator[ScriptedOllama]:
    models = [Model(MODEL, 500, ("embedding",)), Model(OTHER, 8, ("embedding",)), Model("chatty", 500)]
    async with ScriptedOllama(models) as ollama:
        yield ollama


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def embedder(ollama: ScriptedOllama, clock: Clock) -> OllamaEmbedder:
    return OllamaEmbedder(base_url=ollama.base_url, model=MODEL, clock=clock)


async def probed(embedder: OllamaEmbedder) -> EmbedderState:
    """The state once the probe that is due, or under way, has ended."""
    await asyncio.to_thread(embedder.wait_until_loaded, 5)
    return embedder.status().state


async def refusal_of(call: Callable[[], object]) -> str:
    with pytest.raises(MemoryUnavailable) as caught:
        await asyncio.to_thread(call)
    return caught.value.message


async def test_rows_are_normalised_and_in_the_order_of_the_texts(
    ollama: ScriptedOllama, embedder: OllamaEmbedder
) -> None:
    texts = [f"harbour {word}" for word in ("wall", "pilot", "berth") * 15]
    rows = np.asarray(await asyncio.to_thread(embedder.embed_documents, texts))
    assert rows.shape == (45, EMBEDDING_DIMENSION)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    assert np.allclose(rows[0], rows[3])
    assert not np.allclose(rows[0], rows[1])
    assert [len(request["input"]) for request in ollama.embeds] == [1, 16, 16, 13], "a probe, then batches"
    assert await asyncio.to_thread(embedder.embed_documents, []) == []
    assert embedder.dimension == EMBEDDING_DIMENSION
    assert embedder.name == f"ollama:{MODEL}"


async def test_what_is_sent(ollama: ScriptedOllama, embedder: OllamaEmbedder) -> None:
    await asyncio.to_thread(embedder.embed_query, "Which berth?")
    await embedder.aembed_documents(["Berth 4."])
    for sent in ollama.embeds:
        assert {key: sent[key] for key in ("model", "truncate", "keep_alive")} == {
            "model": MODEL,
            "truncate": True,
            "keep_alive": "5m",
        }
    assert [sent["input"] for sent in ollama.embeds[1:]] == [
        ["search_query: Which berth?"],
        ["search_document: Berth 4."],
    ]


@pytest.mark.parametrize(("given", "sent"), [("-1", -1), ("0", 0), ("30m", "30m")])
async def test_a_number_goes_out_as_one_since_ollama_reads_texts_as_durations(
    ollama: ScriptedOllama, given: str, sent: object
) -> None:
    embedder = OllamaEmbedder(base_url=ollama.base_url, model=OTHER, keep_alive=given)
    await asyncio.to_thread(embedder.embed_query, "x")
    assert ollama.embeds[0]["keep_alive"] == sent
    assert ollama.embeds[1]["input"] == ["x"], "this model wants no prefix"


async def test_probing_blocks_nobody_and_happens_once(ollama: ScriptedOllama, embedder: OllamaEmbedder) -> None:
    assert embedder.status().state == "not loaded"
    ollama.script_embed(Reply().gate_before_headers())
    embedder.start_loading()
    embedder.start_loading()
    await ollama.wait_held()
    assert embedder.status().state == "loading"
    ollama.release()
    assert await probed(embedder) == "ready"
    assert embedder.status().load_s == 0
    embedder.start_loading()
    assert len(ollama.embeds) == 1


async def test_a_missing_model_says_what_to_pull_and_is_found_once_it_is_there(
    ollama: ScriptedOllama, clock: Clock
) -> None:
    embedder = OllamaEmbedder(base_url=ollama.base_url, model="bge-m3", clock=clock)
    assert "`ollama pull bge-m3`" in await refusal_of(lambda: embedder.embed_query("x"))
    assert "`ollama pull bge-m3`" in await refusal_of(lambda: embedder.dimension)
    assert len(ollama.embeds) == 1, "it is not asked again at once"
    ollama.models["bge-m3:latest"] = Model("bge-m3", 500, ("embedding",))
    clock.now += RETRY_AFTER_S
    assert await probed(embedder) == "ready"
    assert embedder.status().detail is None
    assert embedder.dimension == EMBEDDING_DIMENSION


async def test_ollama_may_stop_and_come_back(ollama: ScriptedOllama, embedder: OllamaEmbedder, clock: Clock) -> None:
    await asyncio.to_thread(embedder.embed_query, "x")
    await ollama.stop_listening()
    assert "`ollama serve`" in await refusal_of(lambda: embedder.embed_query("x"))
    assert not embedder.is_ready
    assert await probed(embedder) == "failed", "it is not asked again at once"
    clock.now += RETRY_AFTER_S
    assert embedder.status().state == "failed", "and stays so until a probe gets through"
    assert await probed(embedder) == "failed"
    await ollama.start_listening()
    clock.now += RETRY_AFTER_S
    assert await probed(embedder) == "ready"
    await asyncio.to_thread(embedder.embed_query, "x")


async def test_nothing_there_is_a_state_not_a_crash(clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    embedder = OllamaEmbedder(base_url=f"http://127.0.0.1:{port}/", model=MODEL, clock=clock)
    embedder.start_loading()
    assert await probed(embedder) == "failed"
    assert f"127.0.0.1:{port}:" in (embedder.status().detail or "")


async def test_a_slow_question_is_given_up(ollama: ScriptedOllama, clock: Clock) -> None:
    embedder = OllamaEmbedder(base_url=ollama.base_url, model=MODEL, timeouts=EmbedTimeouts(query_s=0.05), clock=clock)
    assert await probed(embedder) == "ready"
    ollama.script_embed(Reply().gate_before_headers())
    assert "longer than 0.05 s" in await refusal_of(lambda: embedder.embed_query("x"))


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply.http(500, "unexpected EOF"), "status 500"),
        (Reply.busy(), "status 503"),
        (Reply.html(502), "status 502"),
        (Reply.body("404 page not found", status=404), "status 404"),
        (Reply.html(), "did not answer as Ollama does"),
        (Reply.body('{"embeddings": null}'), "did not answer as Ollama does"),
        (Reply.body('{"embeddings": []}'), "did not answer as Ollama does"),
        (Reply.body('{"embeddings": [[]]}'), "did not answer as Ollama does"),
        (Reply.body('{"embeddings": [[1], [2]]}'), "did not answer as Ollama does"),
        (Reply.body('{"embeddings": [["a"]]}'), "did not answer as Ollama does"),
        (Reply.body('{"embeddings": [[1, NaN]]}'), "did not answer as Ollama does"),
        (Reply.body('{"embeddings": [[1, 2]]}'), "restart the service"),
        (Reply.reset(), "No Ollama answers"),
    ],
)
async def test_bad_answers_are_said_and_not_indexed(
    ollama: ScriptedOllama, embedder: OllamaEmbedder, reply: Reply, said: str
) -> None:
    await asyncio.to_thread(embedder.embed_query, "x")
    ollama.script_embed(reply)
    assert said in await refusal_of(lambda: embedder.embed_documents(["x"]))
    assert said in (embedder.status().detail or "")


async def test_a_model_that_cannot_embed_is_named(ollama: ScriptedOllama) -> None:
    embedder = OllamaEmbedder(base_url=ollama.base_url, model="chatty")
    assert "memory.ollama_embedding_model" in await refusal_of(lambda: embedder.embed_query("x"))


async def test_a_text_that_ollama_refuses_to_cut_is_cut_here(ollama: ScriptedOllama) -> None:
    """Ollama from 0.13.5 on ignores `truncate`."""
    embedder = OllamaEmbedder(base_url=ollama.base_url, model=OTHER)
    rows = await asyncio.to_thread(embedder.embed_documents, ["berth " * 12, "wall"])
    assert len(rows) == 2
    assert [len(sent["input"][0].split()) for sent in ollama.embeds[1:]] == [12, 6]
    assert "too long" in await refusal_of(lambda: embedder.embed_documents(["a " * 10_000]))


async def test_a_bank_is_indexed_and_asked_through_ollama(
    tmp_path: Path, ollama: ScriptedOllama, embedder: OllamaEmbedder, clock: Clock
) -> None:
    write_bank(
        tmp_path / "memory-bank",
        {"projectbrief.md": f"# Brief\n{words(200, 'brief')}", "progress.md": f"# Issues\nSensor drift\n{words(60)}"},
    )
    service = MemoryService(
        vector_store_path=tmp_path / "vectors", embedder=embedder, count_tokens=count_words, prefer_whole=False
    )
    await ollama.stop_listening()
    first = await service.recall(tmp_path, "sensor drift", 500)
    assert first.passages
    assert not first.used_vectors
    await asyncio.to_thread(service.wait_indexed, 10)
    assert (await service.status(tmp_path)).vectors == 0
    await ollama.start_listening()
    clock.now += RETRY_AFTER_S
    assert await probed(embedder) == "ready"
    await service.status(tmp_path)
    await asyncio.to_thread(service.wait_indexed, 10)
    found = await service.recall(tmp_path, "sensor drift", 500)
    assert found.used_vectors
    assert found.passages[0].file == "memory-bank/progress.md"
    await service.aclose()

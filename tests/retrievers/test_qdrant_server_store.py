"""What is a Qdrant server's alone: what it is sent, what it has lost, and when it does not answer."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from qdrant_client import models

from config.errors import IndexMismatch, MemoryUnavailable
from retrievers.memory import MemoryService
from retrievers.stores import qdrant_server
from retrievers.stores.manifest import MANIFEST
from retrievers.stores.qdrant_server import QdrantServerStore
from retrievers.types import OpenStore, Retrieval
from tests.retrievers.memory_support import WordEmbedder, count_words, two_core_files, write_bank
from tests.retrievers.store_support import DIMENSION, EMBEDDER, loaded, saved, store_kind, unit_rows
from tests.support.qdrant_playing import PlayedQdrant


@pytest.fixture
def qdrant() -> Iterator[PlayedQdrant]:
    with PlayedQdrant() as qdrant:
        yield qdrant


@pytest.fixture
def open_store(qdrant: PlayedQdrant) -> OpenStore:
    return store_kind(qdrant.url)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_vectors_and_content_ids_are_sent_and_nothing_else(
    qdrant: PlayedQdrant, open_store: OpenStore, tmp_path: Path
) -> None:
    saved(open_store, tmp_path / "index")
    [collection] = qdrant.collections()
    assert collection.startswith("cline-memory-index-")
    for asked in qdrant.asked:
        for point in asked.body.get("points", []):
            assert point.keys() == {"id", "vector", "payload"}
            assert point["payload"].keys() == {"metadata"}
            assert point["payload"]["metadata"].keys() == {"content_id"}
    assert [path.name for path in (tmp_path / "index").glob("*.json")] == [MANIFEST]


def test_a_search_is_exact_and_bounded_in_time(qdrant: PlayedQdrant, open_store: OpenStore, tmp_path: Path) -> None:
    saved(open_store, tmp_path).search(unit_rows(0)[0], 1)
    assert qdrant.asked[-1].body["params"]["exact"] is True
    assert qdrant.asked[-1].query == f"timeout={qdrant_server.SEARCH_TIMEOUT_S}"


def test_the_collection_of_an_index_that_is_replaced_is_deleted(
    qdrant: PlayedQdrant, open_store: OpenStore, tmp_path: Path
) -> None:
    saved(open_store, tmp_path)
    before = qdrant.collections()
    saved(open_store, tmp_path)
    assert len(qdrant.collections()) == 1
    assert qdrant.collections() != before


def test_no_other_collection_is_deleted(qdrant: PlayedQdrant, open_store: OpenStore, tmp_path: Path) -> None:
    saved(open_store, tmp_path / "other")
    manifest = tmp_path / "index" / MANIFEST
    manifest.parent.mkdir()
    manifest.write_text(json.dumps({"collection": qdrant.collections()[0]}))
    saved(open_store, tmp_path / "index")
    assert loaded(open_store, tmp_path / "other").ids() == {"a", "b", "c"}


@pytest.mark.parametrize("loss", ["collection", "dimension", "name"])
def test_what_the_server_has_lost_is_built_again(
    qdrant: PlayedQdrant, open_store: OpenStore, tmp_path: Path, loss: str
) -> None:
    saved(open_store, tmp_path)
    [name] = qdrant.collections()
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    if loss == "name":
        (tmp_path / MANIFEST).write_text(json.dumps(manifest | {"collection": 3}))
    else:
        qdrant.engine.delete_collection(name)
    if loss == "dimension":
        vectors = models.VectorParams(size=DIMENSION + 1, distance=models.Distance.COSINE)
        qdrant.engine.create_collection(name, vectors)
    with pytest.raises(IndexMismatch):
        loaded(open_store, tmp_path)
    saved(open_store, tmp_path)
    assert loaded(open_store, tmp_path).ids() == {"a", "b", "c"}


def test_a_collection_that_goes_while_it_is_used_says_what_to_do(
    qdrant: PlayedQdrant, open_store: OpenStore, tmp_path: Path
) -> None:
    store = saved(open_store, tmp_path)
    qdrant.engine.delete_collection(qdrant.collections()[0])
    with pytest.raises(MemoryUnavailable, match="lost this index's collection; restart the service"):
        store.search(unit_rows(0)[0], 1)
    with pytest.raises(MemoryUnavailable, match="lost this index's collection; restart the service"):
        store.add(["z"], unit_rows(3))


def test_nobody_there(tmp_path: Path) -> None:
    port = free_port()
    store = store_kind(f"http://127.0.0.1:{port}")(tmp_path, EMBEDDER, DIMENSION)
    sentence = rf"127\.0\.0\.1:{port} does not answer \(ConnectError\); start it"
    with pytest.raises(MemoryUnavailable, match=sentence):
        store.load()
    with pytest.raises(MemoryUnavailable, match=sentence):
        store.add(["a"], unit_rows(0))
    assert store.search(unit_rows(0)[0], 1) == []
    assert not (tmp_path / MANIFEST).exists()


def test_a_server_that_comes_back_goes_on(qdrant: PlayedQdrant, open_store: OpenStore, tmp_path: Path) -> None:
    store = saved(open_store, tmp_path)
    qdrant.status = 503
    with pytest.raises(MemoryUnavailable, match="answered 503; see its log"):
        store.search(unit_rows(0)[0], 1)
    with pytest.raises(MemoryUnavailable, match="answered 503"):
        loaded(open_store, tmp_path)
    qdrant.status = 200
    assert store.search(unit_rows(0)[0], 1)[0][0] == "a"


def test_a_folder_that_cannot_be_written_leaves_nothing_on_the_server(
    qdrant: PlayedQdrant, open_store: OpenStore, tmp_path: Path
) -> None:
    (tmp_path / qdrant_server.LOCK).mkdir()
    store = loaded(open_store, tmp_path)
    with pytest.raises(MemoryUnavailable, match="VECTOR_STORE_PATH"):
        store.add(["a"], unit_rows(0))
    with pytest.raises(OSError, match="unable to open"):
        store.save()
    assert qdrant.collections() == []


def test_a_slow_server_is_not_waited_for(
    qdrant: PlayedQdrant, open_store: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qdrant_server, "SEARCH_TIMEOUT_S", 1)
    store = saved(open_store, tmp_path)
    qdrant.delay_s = 30
    began = time.monotonic()
    with pytest.raises(MemoryUnavailable, match=r"does not answer \(ReadTimeout\)"):
        store.search(unit_rows(0)[0], 1)
    assert time.monotonic() - began < 5.0


@pytest.mark.parametrize("text", [b"<html>a login page</html>", b"{}", b'{"result": 3}', b""])
def test_something_else_at_that_address(
    qdrant: PlayedQdrant, open_store: OpenStore, tmp_path: Path, text: bytes
) -> None:
    store = saved(open_store, tmp_path)
    qdrant.text = text
    with pytest.raises(MemoryUnavailable, match="Qdrant server at 127"):
        store.search(unit_rows(0)[0], 1)
    with pytest.raises(MemoryUnavailable, match="Qdrant server at 127"):
        loaded(open_store, tmp_path)


def test_the_key_is_sent_and_a_refused_one_says_which_variable(tmp_path: Path) -> None:
    with PlayedQdrant(api_key="secret") as qdrant:
        keyed = partial(QdrantServerStore, url=qdrant.url, api_key="secret")
        assert saved(keyed, tmp_path).ids() == {"a", "b", "c"}
        with pytest.raises(MemoryUnavailable, match="QDRANT_API_KEY") as refused:
            loaded(partial(QdrantServerStore, url=qdrant.url, api_key="wrong"), tmp_path)
        assert "wrong" not in refused.value.message
        with pytest.raises(MemoryUnavailable, match="QDRANT_API_KEY"):
            loaded(store_kind(qdrant.url), tmp_path)


def test_words_still_serve_while_the_server_is_down(qdrant: PlayedQdrant, tmp_path: Path) -> None:
    write_bank(tmp_path / "project" / "memory-bank", two_core_files())
    service = MemoryService(
        vector_store_path=tmp_path / "vectors",
        embedder=WordEmbedder(),
        count_tokens=count_words,
        open_store=store_kind(qdrant.url),
        prefer_whole=False,
    )

    def recalled() -> Retrieval:
        recalled = service.recall_blocking(tmp_path / "project", "tide gauges", 1_000)
        assert service.wait_indexed(30)
        return recalled

    qdrant.status = 500
    recalled()
    down = recalled()
    assert down.passages
    assert "answered 500" in (down.note or "")
    qdrant.status = 200
    recalled()
    assert recalled().used_vectors
    qdrant.status = 500
    down = recalled()
    assert down.passages
    assert not down.used_vectors
    assert "answered 500" in (down.note or "")

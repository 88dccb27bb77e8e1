"""Nothing slow runs on the event loop: while it does, no client gets a byte."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from retrievers.embeddings import LocalEmbedder
from tests.faults.conftest import Start
from tests.retrievers.memory_support import WordEmbedder, words, write_bank
from tests.support.service import Running

CLIENTS = 32
LONGEST_S = 0.05
CHUNKS = 150
LOADED_WITHIN_S = 90.0


@contextmanager
def longest_callbacks() -> Iterator[list[tuple[float, str]]]:
    """How much of this thread's time each callback of its event loop takes, the longest first once it is left.

    Its own time, since on a busy machine any callback may have to wait for a core. Full collections pass over what was
    there before, as `RouterServer` has them do.
    """
    spent: list[tuple[float, str]] = []
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        try:
            run(handle)
        finally:
            spent.append((time.thread_time() - began, repr(handle)))

    gc.collect()
    gc.freeze()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio.Handle, "_run", timed)
            yield spent
    finally:
        gc.unfreeze()
    spent.sort(reverse=True)


async def test_many_clients_and_an_index_being_built_keep_nobody_waiting(start: Start, tmp_path: Path) -> None:
    project = tmp_path / "project"
    sections = (f"## Part {number}\n\n{words(150, f'part{number} ')}\n" for number in range(CHUNKS))
    write_bank(project / "memory-bank", {"projectbrief.md": "# Brief\n", "progress.md": "".join(sections)})
    running = await start(memory={"enabled": True}, backend={"max_waiting_calls": CLIENTS})
    memory = running.service.memory
    embedder = running.service.embedder
    assert isinstance(embedder, LocalEmbedder)
    assert await asyncio.to_thread(embedder.wait_until_loaded, LOADED_WITHIN_S), embedder.status()
    history = [
        {"role": role, "content": words(100, f"{role}{number} ")}
        for number in range(10)
        for role in ("user", "assistant")
    ]
    await memory.status(project)
    running.http.timeout = httpx.Timeout(60)
    with longest_callbacks() as spent:
        answers = await asyncio.gather(
            *(
                running.chat(
                    messages=[*history, {"role": "user", "content": f"What does part{number} say of the tide?"}],
                    stream=True,
                    headers={"x-workspace": str(project)},
                )
                for number in range(CLIENTS)
            )
        )
        status = await memory.status(project)
    assert [answer.status_code for answer in answers] == [200] * CLIENTS
    assert status.vectors < status.chunks, "the index was built before the clients came"
    assert spent[0][0] < LONGEST_S, spent[:3]


async def test_conversations_are_looked_up_in_threads_of_their_own(running: Running) -> None:
    """Those that all share may be busy with an index for seconds."""
    assert (await running.chat()).status_code == 200
    assert any(thread.name.startswith("look-up") for thread in threading.enumerate())


class HeldEmbedder(WordEmbedder):
    """Embeds once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.let_go = threading.Event(), threading.Event()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.begun.set()
        self.let_go.wait()
        return super().embed_documents(texts)


async def test_chats_are_answered_while_indexers_wait_for_their_vectors(running: Running) -> None:
    """They held every thread, and no chat was answered until they had their vectors."""
    embedder = HeldEmbedder()
    running.app.state.service = replace(running.service, embedder=embedder)
    asked = {"model": embedder.name, "input": "a text"}
    indexers = [asyncio.create_task(running.http.post("/v1/embeddings", json=asked)) for _ in range(CLIENTS + 8)]
    try:
        while not embedder.begun.is_set():  # noqa: ASYNC110 - asyncio waits for no event of a thread
            await asyncio.sleep(0.005)
        assert (await running.chat()).status_code == 200
        assert not any(indexer.done() for indexer in indexers)
    finally:
        embedder.let_go.set()
    assert {answer.status_code for answer in await asyncio.gather(*indexers)} == {200}

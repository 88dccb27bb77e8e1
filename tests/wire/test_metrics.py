"""What Prometheus reads: each figure of a request once, and what is true now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.support.scripted_ollama import Reply, ScriptedOllama
from tests.support.service import Running, eventually, running_service

CODER = "qwen2.5-coder:32b"


async def figures(running: Running) -> Callable[..., float]:
    """By name and label values, in any order."""
    answer = await running.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    by_labels = {(sample.name, frozenset(sample.labels.values())): sample.value for sample in samples}
    return lambda name, *labels: by_labels[name, frozenset(labels)]


async def test_requests_are_counted_as_they_went(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path, backend={"retries": 1}) as running:
        ollama.script(Reply.text("a").counts(prompt=100, answer=7, cached=25))
        await running.chat(model="implementation")
        ollama.script(Reply.http(500, "boom"))
        await running.chat(model="implementation", stream=True)
        ollama.script(Reply.not_found(CODER))
        await running.chat(model="implementation")
        ollama.script(Reply.http(400, "bad option"))
        await running.chat(model="implementation")
        await running.http.post("/v1/chat/completions", json={})
        seen = await figures(running)
    assert seen("router_requests_total", "implementation", "ok") == 2
    assert seen("router_requests_total", "memory_analysis", "ok") == 1
    assert seen("router_requests_total", "implementation", "model_refused") == 1
    assert seen("router_requests_total", "none", "invalid_request") == 1
    assert seen("router_retries_total", "UpstreamBroken") == 1
    assert seen("router_fallbacks_total", "implementation", "memory_analysis") == 1
    assert seen("router_tokens_total", "implementation", "cached") == 25
    assert seen("router_tokens_total", "implementation", "history") > 0
    assert seen("router_cached_share_sum", "implementation") == 0.25
    for name in ("queue", "prefill", "answer", "first_token", "request"):
        assert seen(f"router_{name}_seconds_count", "implementation") >= 2, name
    assert seen("router_queue_length", CODER) == 0
    assert [seen("router_breaker_state", CODER, state) for state in ("closed", "open", "half_open")] == [1, 0, 0]


async def test_series_are_there_before_anything_happened(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path) as running:
        seen = await figures(running)
    assert seen("router_requests_total", "implementation", "ok") == 0
    assert seen("router_load_seconds_count", "memory_analysis") == 0
    assert seen("router_queue_length", CODER) == seen("router_model_switches_total", CODER) == 0
    assert seen("router_breaker_state", CODER, "closed") == 1


async def test_who_found_no_place_did_not_wait_for_none(tmp_path: Path) -> None:
    """Each refusal counted as a wait of 0 s, so that a full queue looked like a short one; so did who gave up in it."""
    held = Reply.text("a", "b").gate_after(1)
    async with (
        ScriptedOllama() as ollama,
        running_service(ollama, tmp_path, backend={"max_waiting_calls": 1}) as running,
    ):
        ollama.script(held)
        first = asyncio.create_task(running.chat("first", model="implementation"))
        await ollama.wait_held()
        gives_up = asyncio.create_task(running.chat("second", model="implementation"))
        await eventually(lambda: running.service.models.waiting_calls[CODER] == 1, "a call to wait")
        assert (await running.chat("third", model="implementation")).status_code == 429
        assert (await figures(running))("router_queue_seconds_count", "implementation") == 0
        gives_up.cancel()
        await eventually(lambda: running.service.models.waiting_calls[CODER] == 0, "it to leave the queue")
        seen = await figures(running)
        ollama.release()
        assert (await first).status_code == 200
    assert seen("router_queue_seconds_count", "implementation") == 1
    assert seen("router_queue_seconds_sum", "implementation") > 0


async def test_two_applications_count_for_themselves(tmp_path: Path) -> None:
    for name in ("first", "second"):
        async with ScriptedOllama() as ollama, running_service(ollama, tmp_path / name) as running:
            await running.chat(model="implementation")
            assert (await figures(running))("router_requests_total", "implementation", "ok") == 1

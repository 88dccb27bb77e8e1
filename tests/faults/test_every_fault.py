"""Every way a model's server may fail, as the OpenAI SDK and both of Cline's bundles get to know of it.

After each of them the model's place is free and nothing is left behind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio

from tests.faults.fault_table import (
    CLINE,
    CODER,
    EARLY,
    LATE,
    QUICK,
    TWO,
    assert_nothing_left,
    body_of,
    deltas_of,
    streamed,
)
from tests.support.scripted_ollama import Reply, ScriptedOllama
from tests.support.service import CHAT, MODEL, Running, running_service
from tests.support.sse_reader import read_answer

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def patient(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """Holds the status line for as long as the model says nothing."""
    server = {"hold_status_s": 30, "heartbeat_s": 30}
    folder = tmp_path_factory.mktemp("patient")
    async with ScriptedOllama() as ollama, running_service(ollama, folder, server=server, backend=QUICK) as running:
        yield running


@pytest.mark.parametrize("name", EARLY)
class TestBeforeTheFirstToken:
    async def test_the_openai_sdk_raises_its_status(self, patient: Running, name: str) -> None:
        fault = EARLY[name]
        patient.ollama.default(fault.reply)
        async with openai.AsyncOpenAI(base_url=patient.openai_url, api_key="x", max_retries=0, timeout=15) as sdk:
            for stream in (True, False):
                with pytest.raises(openai.APIStatusError) as caught:
                    await sdk.chat.completions.create(
                        model=MODEL, messages=[{"role": "user", "content": "hello"}], stream=stream
                    )
                assert (caught.value.status_code, caught.value.code) == (fault.status, fault.code)
                assert "<html" not in caught.value.message
        await assert_nothing_left(patient)

    async def test_cline_gets_a_status_it_knows_what_to_do_with(self, patient: Running, name: str) -> None:
        """Both bundles try 429 and 5xx again; of 4xx they show the message, but for a window that is too small."""
        fault = EARLY[name]
        patient.ollama.default(fault.reply)
        for client in CLINE:
            answer = await patient.http.post(CHAT, json=body_of(client))
            assert (answer.status_code, answer.json()["error"]["code"]) == (fault.status, fault.code)
            assert answer.json()["error"]["message"]
        await assert_nothing_left(patient)

    async def test_a_fault_that_passes_is_not_seen(self, patient: Running, name: str) -> None:
        fault = EARLY[name]
        patient.ollama.default(Reply.text("again"))
        patient.ollama.script(fault.reply, model=CODER)
        answer = await patient.chat(stream=True, model="implementation")
        if fault.once or fault.other:
            assert read_answer(answer.content).text == "again"
            assert answer.headers["x-router-model"] == (CODER if fault.once else "llama4:16x17b")
        else:
            assert (answer.status_code, answer.json()["error"]["code"]) == (fault.status, fault.code)
        await assert_nothing_left(patient)

    async def test_a_fault_of_one_model_lets_the_next_one_answer(self, patient: Running, name: str) -> None:
        fault = EARLY[name]
        patient.ollama.default(Reply.text("stands in"))
        patient.ollama.default(fault.reply, model=CODER)
        answer = await patient.chat(stream=True, model="implementation")
        if fault.other:
            assert read_answer(answer.content).text == "stands in"
            assert answer.headers["x-router-role"] == "memory_analysis"
            assert answer.headers["x-router-fallback"].startswith(f"implementation: {CODER} failed (")
        else:
            assert (answer.status_code, answer.json()["error"]["code"]) == (fault.status, fault.code)
        await assert_nothing_left(patient)


@pytest.mark.parametrize("name", LATE)
class TestAfterTheFirstToken:
    """No second try, no other model: half an answer was shown already. It ends, and never looks whole."""

    async def test_the_openai_sdk_raises(self, patient: Running, name: str) -> None:
        fault = LATE[name]
        patient.ollama.default(fault.reply)
        begun = len(patient.ollama.chats)
        seen = ""
        with pytest.raises(openai.APIError) as caught:  # noqa: PT012 - what came before the error is looked at
            async for delta in deltas_of(patient):
                seen += delta.content or getattr(delta, "reasoning_content", None) or ""
        assert caught.value.code == fault.code
        assert seen.startswith("a")
        assert len(patient.ollama.chats) == begun + fault.calls
        await assert_nothing_left(patient)

    @pytest.mark.parametrize("client", CLINE)
    async def test_cline_is_told(self, patient: Running, name: str, client: str) -> None:
        fault = LATE[name]
        patient.ollama.default(fault.reply)
        answer = await streamed(patient, body_of(client))
        assert ((answer.text + answer.reasoning)[:1], answer.finish_reason, answer.usage) == ("a", "error", None)
        # Its SDK bundle asks again after an end with no words and no error object.
        told = fault.spoke or client != "cline_sdk"
        assert (answer.error or {}).get("code") == (fault.code if told else None)
        await assert_nothing_left(patient)

    async def test_it_is_not_given_whole(self, patient: Running, name: str) -> None:
        fault = LATE[name]
        patient.ollama.default(fault.reply)
        answer = await patient.chat()
        assert (answer.status_code // 100, answer.json()["error"]["code"]) == (5, fault.code)


async def test_refused_for_the_openai_sdk(patient: Running) -> None:
    await patient.ollama.stop_listening()
    with pytest.raises(openai.APIStatusError) as caught:
        _ = [delta async for delta in deltas_of(patient)]
    assert (caught.value.status_code, caught.value.code) == (503, "backend_unavailable")
    await patient.ollama.start_listening()
    await assert_nothing_left(patient)


@pytest.mark.parametrize("client", CLINE)
async def test_refused(patient: Running, client: str) -> None:
    await patient.ollama.stop_listening()
    answer = await patient.http.post(CHAT, json=body_of(client))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "backend_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    await patient.ollama.start_listening()
    await assert_nothing_left(patient)


async def test_reset_at_connect_is_tried_again(patient: Running) -> None:
    patient.ollama.default(TWO)
    await patient.chat(model="memory_fast")
    await patient.ollama.reset_next_connections(2)  # the look at what is loaded, and the call
    assert read_answer((await patient.chat(stream=True, model="memory_fast")).content).text == "ab"
    await assert_nothing_left(patient)


async def test_a_load_that_hangs_lets_another_model_answer(patient: Running) -> None:
    ollama = patient.ollama
    ollama.residency.unload(ollama.models[CODER])
    patient.service.models._live.expire()
    ollama.script_load(Reply().gate_before_headers())
    answer = await patient.chat(model="implementation")
    assert answer.headers["x-router-fallback"] == f"implementation: {CODER} failed (LoadTimeout)"
    await assert_nothing_left(patient)


async def test_a_load_that_hangs_for_every_model(patient: Running) -> None:
    ollama = patient.ollama
    for model in ollama.models.values():
        ollama.residency.unload(model)
    patient.service.models._live.expire()  # what was seen a moment ago is no longer so
    ollama.script_load(*[Reply().gate_before_headers()] * 3)
    answer = await patient.chat(model="implementation")
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "load_timeout")
    assert "backend.load_timeout_s" in answer.json()["error"]["message"]
    await assert_nothing_left(patient)


async def test_a_model_that_keeps_failing_is_passed_over_and_tried_again(tmp_path: Any) -> None:
    """The other model answers at once, without a call that is known to fail; health and headers say so."""
    backend = {**QUICK, "retries": 0, "breaker_failures": 1, "breaker_open_s": 60}
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path, backend=backend) as running:
        ollama.default(Reply.http(500, "boom"), model=CODER)
        assert (await running.chat(model="implementation")).status_code == 200
        calls = len(ollama.chats)
        passed_over = await running.chat(model="implementation")
        assert len(ollama.chats) == calls + 1
        assert passed_over.headers["x-router-role"] == "memory_analysis"
        assert passed_over.headers["x-router-fallback"] == (
            f"implementation: the last 1 calls of {CODER} failed (UpstreamBroken)"
        )
        health = (await running.http.get("/health")).json()
        assert health["status"] == "degraded"
        assert health["models"]["implementation"]["breaker"] == "open"
        assert health["models"]["implementation"]["stands_in"] == "memory_analysis"
        ollama.default(Reply.text("well again"), model=CODER)
        running.service.models.breakers[CODER]._open_until = 0  # its time is over
        assert (await running.chat(model="implementation")).headers["x-router-role"] == "implementation"
        assert (await running.http.get("/health")).json()["status"] == "ok"

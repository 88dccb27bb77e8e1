from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from backends.http_transport import AiohttpTransport
from backends.ndjson import ChatTransport
from backends.patience import CallLimits
from config.errors import (
    LoadTimeout,
    ModelBusy,
    ModelTimeout,
    RouterError,
    UpstreamBroken,
)
from tests.backends.backend_support import CHAT, MODEL, PATIENT, chunks_of, raw_server, text_of, transport_to
from tests.support.ollama_catalogue import RESIDENT_NS
from tests.support.scripted_ollama import Reply, ScriptedOllama

TWO = Reply.text("a", "b")
SHORT_S = 0.1


@pytest.mark.parametrize(
    ("prefill_s", "limit_s"), [(None, 7200), (0.0, 120), (30.0, 120), (60.0, 240), (1800.0, 7200), (1e6, 7200)]
)
def test_the_first_tokens_limit_follows_the_prompt(prefill_s: float | None, limit_s: float) -> None:
    assert CallLimits(5, 7200, 120, first_token_floor_s=120).first_token_limit_s(prefill_s) == limit_s


def test_the_ceiling_wins_over_the_floor() -> None:
    assert CallLimits(5, 0.1, 120, first_token_floor_s=120).first_token_limit_s(60.0) == 0.1


def test_a_long_tool_call_may_take_its_time_in_silence() -> None:
    """A file of 8192 tokens at 6 a second was cut off after 120 s: Ollama sends nothing of a call until it is whole."""
    limits = CallLimits(5, 7200, 120, first_token_floor_s=120)
    call_s = 8192 / 6
    assert limits.first_token_limit_s(30.0, call_s) == pytest.approx(4 * (30 + call_s))
    assert limits.idle_limit_s(call_s) == pytest.approx(4 * call_s)
    assert (limits.idle_limit_s(0.0), limits.idle_limit_s(1e6)) == (120, 7200)


async def not_loaded() -> bool:
    return False


class TestLoading:
    """A model that is not loaded is loaded by a request of its own, as nothing else tells loading from reading."""

    async def chunks(self, ollama: ScriptedOllama, limits: CallLimits = PATIENT) -> list[dict[str, Any]]:
        body = {**CHAT, "options": {"num_ctx": 4096}, "keep_alive": "5m"}
        async with httpx.AsyncClient(
            base_url=ollama.base_url, trust_env=False, transport=AiohttpTransport(10)
        ) as client:
            return [chunk async for chunk in ChatTransport(client, limits, not_loaded).stream(body)]

    async def test_it_is_loaded_as_the_call_will_want_it(self, ollama: ScriptedOllama) -> None:
        last = (await self.chunks(ollama))[-1]
        loading = {"model": MODEL, "options": {"num_ctx": 4096}, "keep_alive": "5m", "stream": False}
        assert ollama.preloads == [loading | {"truncate": False, "shift": False}]
        assert ollama.residency.loads == [(MODEL, 4096)]
        assert last["load_duration"] > RESIDENT_NS

    async def test_a_load_that_hangs(self, ollama: ScriptedOllama) -> None:
        ollama.script_load(Reply().gate_before_headers())
        limits = CallLimits(5, 5, 5, load_s=SHORT_S)
        with pytest.raises(LoadTimeout, match=r"was not loaded within 0.1 s \(backend.load_timeout_s\)"):
            await self.chunks(ollama, limits)
        assert ollama.chats == []
        assert await text_of(ollama.base_url) == "ok"

    @pytest.mark.parametrize(
        ("reply", "error"),
        [
            (Reply.http(500, "out of memory"), UpstreamBroken),
            (Reply.busy(), ModelBusy),
            (Reply.reset(), UpstreamBroken),
        ],
    )
    async def test_a_load_that_fails(self, ollama: ScriptedOllama, reply: Reply, error: type[RouterError]) -> None:
        ollama.script_load(reply)
        with pytest.raises(error):
            await self.chunks(ollama)
        assert ollama.chats == []

    @pytest.mark.parametrize("reply", [Reply.http(400, "a prompt is needed"), Reply.body("404 page", status=404)])
    async def test_a_server_that_loads_no_model_by_itself_is_asked_all_the_same(
        self, ollama: ScriptedOllama, reply: Reply
    ) -> None:
        ollama.script_load(reply)
        assert (await self.chunks(ollama))[0]["message"]["content"] == "ok"


class TestTimeLimits:
    """The first-token limit holds until something of the answer came, the idle limit from then on."""

    async def test_first_token_before_headers(self, ollama: ScriptedOllama) -> None:
        ollama.script(TWO.gate_before_headers())
        await self.times_out(
            ollama, CallLimits(5, SHORT_S, 5), r"gave no token within 0.1 s .*backend.first_token_timeout_s"
        )

    async def test_first_token_after_headers(self, ollama: ScriptedOllama) -> None:
        ollama.script(TWO.gate_after(0))
        await self.times_out(ollama, CallLimits(5, SHORT_S, 5), "backend.first_token_timeout_s")

    async def test_an_empty_chunk_is_no_token(self, ollama: ScriptedOllama) -> None:
        ollama.script(Reply.text("", "b").gate_after(1))
        await self.times_out(ollama, CallLimits(5, SHORT_S, 0.01), "backend.first_token_timeout_s")

    @pytest.mark.parametrize(
        "reply",
        [TWO, Reply.thinking("hm", then=("b",)), Reply.tool_calls(("f", {}), ("g", {}))],
        ids=["text", "thought", "call"],
    )
    async def test_idle_between_tokens(self, ollama: ScriptedOllama, reply: Reply) -> None:
        ollama.script(reply.gate_after(1))
        await self.times_out(
            ollama, CallLimits(5, 5, SHORT_S), r"fell silent for 0.1 s in mid-answer \(backend.idle_timeout_s"
        )

    async def test_a_call_may_be_written_in_silence(self, ollama: ScriptedOllama) -> None:
        ollama.script(Reply.tool_calls(("write_file", {"path": "a"}), text=("I write:",)).gate_after(0).gate_after(1))
        limits = CallLimits(5, 5, idle_s=0.01, first_token_floor_s=0.01)
        async with transport_to(ollama.base_url, limits) as transport:
            chunks = transport.stream(CHAT, prefill_s=0.0, call_s=5.0)
            for _ in range(2):
                coming = asyncio.create_task(anext(chunks))
                await ollama.wait_held()
                assert not (await asyncio.wait({coming}, timeout=0.05))[0]
                ollama.release()
                await coming
            assert [chunk["done"] async for chunk in chunks] == [True]

    async def test_idle_before_the_end_mark(self, ollama: ScriptedOllama) -> None:
        ollama.script(TWO.gate_after(2))
        await self.times_out(ollama, CallLimits(5, 5, SHORT_S), "backend.idle_timeout_s")

    async def times_out(self, ollama: ScriptedOllama, limits: CallLimits, said: str) -> None:
        with pytest.raises(ModelTimeout, match=said):
            await chunks_of(ollama.base_url, limits)
        await ollama.wait_disconnected(0)

    async def test_an_error_whose_text_never_comes(self) -> None:
        """It was a bare TimeoutError, which nobody above maps."""
        head = b'HTTP/1.1 500 Internal Server Error\r\ncontent-length: 100\r\n\r\n{"error": '
        async with raw_server(head, then_hang=True) as url:
            with pytest.raises(ModelTimeout, match=r"backend\.first_token_timeout_s"):
                await chunks_of(url, CallLimits(5, SHORT_S, SHORT_S))

    async def test_a_slow_consumer_is_not_the_models_silence(self, ollama: ScriptedOllama) -> None:
        ollama.script(TWO)
        async with transport_to(ollama.base_url, CallLimits(5, SHORT_S, SHORT_S)) as transport:
            chunks = transport.stream(CHAT)
            await anext(chunks)
            await ollama.wait_idle()
            loop = asyncio.get_running_loop()
            over = asyncio.Event()
            loop.call_later(2 * SHORT_S, over.set)
            await over.wait()
            assert [chunk["message"]["content"] async for chunk in chunks] == ["b", ""]

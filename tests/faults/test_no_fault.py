"""What only looks like a fault arrives whole, at the OpenAI SDK and at both of Cline's bundles."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.fault_table import CLINE, GOOD, assert_nothing_left, body_of, deltas_of, streamed
from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import Running, running_service

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calm(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """With limits that no answer of these tests comes near, however busy the machine."""
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path_factory.mktemp("calm")) as running:
        yield running


@pytest.mark.parametrize("name", GOOD)
async def test_the_openai_sdk_gets_it_whole(calm: Running, name: str) -> None:
    good = GOOD[name]
    calm.ollama.default(good.reply)
    deltas = [delta async for delta in deltas_of(calm, tools=body_of("cline_sdk")["tools"])]
    assert "".join(delta.content or "" for delta in deltas) == good.text
    calls = [call.function for delta in deltas for call in delta.tool_calls or () if call.function]
    assert [(call.name, json.loads(call.arguments or "")) for call in calls] == list(good.calls)
    await assert_nothing_left(calm)


@pytest.mark.parametrize(
    ("client", "name"),
    [(client, name) for client in CLINE for name in GOOD if not GOOD[name].calls or body_of(client).get("tools")],
)
async def test_cline_gets_it_whole(calm: Running, name: str, client: str) -> None:
    good = GOOD[name]
    calm.ollama.default(good.reply)
    answer = await streamed(calm, body_of(client))
    assert (answer.text, answer.error) == (good.text, None)
    assert answer.finish_reason == ("tool_calls" if good.calls else "stop")
    calls = [call["function"] for call in answer.calls]
    assert [(call["name"], json.loads(call["arguments"])) for call in calls] == list(good.calls)
    await assert_nothing_left(calm)

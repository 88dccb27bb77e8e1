"""A fault that comes when the stream was begun already, with heartbeats only."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.fault_table import EARLY, QUICK, assert_nothing_left, body_of, streamed
from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import Running, ask, running_service

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """Sends the status line at once, so that a fault always finds a stream that was begun."""
    server = {"hold_status_s": 0, "heartbeat_s": 0.05}
    folder = tmp_path_factory.mktemp("hasty")
    async with ScriptedOllama() as ollama, running_service(ollama, folder, server=server, backend=QUICK) as running:
        yield running


@pytest.mark.parametrize("name", EARLY)
async def test_a_stream_that_was_begun_ends_as_an_error(hasty: Running, name: str) -> None:
    """Cline's SDK asks again after an empty end with `error`; to all others the error is told."""
    fault = EARLY[name]
    hasty.ollama.default(fault.reply)
    for body, told in (
        (body_of("cline_sdk"), False),
        (body_of("cline_legacy"), True),
        (ask(), True),
    ):
        answer = await streamed(hasty, body)
        assert (answer.text, answer.calls, answer.finish_reason) == ("", (), "error")
        assert (answer.error or {}).get("code") == (fault.code if told else None)
    await assert_nothing_left(hasty)

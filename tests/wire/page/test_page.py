"""The status page over HTTP: what it shows, that nothing of it comes from elsewhere, and who may see it."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.retrievers.memory_support import two_core_files, write_bank
from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import Running, running_service
from wire.page.recent import RecentRequests

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
LIMIT_S = 10.0


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path) as service:
        yield service


@pytest.fixture
def hostile_workspace(tmp_path: Path) -> Path:
    files = two_core_files() | {"techContext.md": f"# {HOSTILE}\n\nThe gauges speak {HOSTILE}.\n"}
    write_bank(tmp_path / "project" / "memory-bank", files)
    return tmp_path / "project"


async def section(http: httpx.AsyncClient, name: str, holding: str) -> str:
    """The section as the live stream sends it, once it holds these words."""
    async with asyncio.timeout(LIMIT_S), http.stream("GET", "/page/live") as live:
        event = ""
        async for line in live.aiter_lines():
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif line.startswith("data: ") and event == name:
                html = str(orjson.loads(line.removeprefix("data: ")))
                if holding in html:
                    return html
    raise AssertionError(f"the stream ended without {name} that holds {holding!r}")


async def test_it_shows_models_and_what_to_paste(running: Running) -> None:
    page = await running.http.get("/")
    assert page.status_code == 200
    assert "qwen2.5-coder:32b" in page.text
    assert f"<code>{running.openai_url}</code>" in page.text
    assert "<code>200000</code>" in page.text


async def test_nothing_of_it_comes_from_elsewhere(running: Running) -> None:
    page = await running.http.get("/")
    linked = set(re.findall(r'(?:src|href)="([^"#][^"]*)"', page.text))
    assert {"/page/assets/page.js", "/page/assets/page.css"} <= linked
    assert all(each.startswith("/") and not each.startswith("//") for each in linked)
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"\son\w+=|style=|<style|<script>", page.text)
    for asset in sorted(each for each in linked if each.startswith("/page/assets/")):
        fetched = await running.http.get(asset)
        assert fetched.status_code == 200
        assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", fetched.text)
    assert (await running.http.get("/page/assets/nothing.js")).status_code == 404


async def test_a_request_appears_live_and_tells_its_decision_again(running: Running) -> None:
    answered = await running.chat("implement the tide parser", headers={"x-session-id": "gauges"})
    html = await section(running.http, "requests", "gauges")
    request_id = answered.headers["x-request-id"]
    assert f'data-request="{request_id}"' in html
    decision = await running.http.get(f"/page/requests/{request_id}")
    assert "implementation" in decision.text
    assert "memory_analysis" in decision.text
    gone = await running.http.get("/page/requests/unknown")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "request_not_kept")


async def test_a_load_counts_as_seconds_lost_to_switches(running: Running) -> None:
    await running.chat("hello")
    past = running.service.recent.requests[0]
    assert past.timings is not None
    expected = past.timings.load_s if past.timings.load_s >= 0.2 else 0.0
    assert running.service.recent.switching_today_s == pytest.approx(expected)


def test_of_a_day_before_its_start_nothing_is_claimed() -> None:
    """The page told of "0 s today" after a restart at noon."""
    noon = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
    days = iter((noon, noon + timedelta(hours=3), noon + timedelta(hours=20)))
    recent = RecentRequests(lambda: next(days))
    assert recent.counted_since == "since the start at 12:05"
    assert recent.counted_since == "today"


async def test_trying_asks_no_model_and_shows_why(running: Running) -> None:
    asked = len(running.ollama.chats)
    tried = await running.http.post("/page/try", json={"text": "@deep is the design sound?", "mode": "plan"})
    assert tried.status_code == 200
    assert "<h3>memory_analysis" in tried.text
    assert "the window" not in tried.text
    assert len(running.ollama.chats) == asked
    assert running.service.recent.requests == ()


@pytest.mark.parametrize(
    ("body", "param"),
    [({"text": ""}, "text"), ({"text": "x", "mode": "fast"}, "mode"), ({"text": "x", "more": 1}, "more")],
)
async def test_what_cannot_be_tried_is_named(running: Running, body: dict[str, Any], param: str) -> None:
    refused = await running.http.post("/page/try", json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


async def test_a_hostile_bank_is_shown_as_text(tmp_path: Path, hostile_workspace: Path) -> None:
    memory = {"enabled": True, "embedder": "ollama", "default_workspace": hostile_workspace}
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path, memory=memory) as running:
        body = {"text": f"what do the gauges speak? {HOSTILE}", "workspace": str(hostile_workspace)}
        tried = await running.http.post("/page/try", json=body)
        page = await running.http.get("/")
    assert "The gauges speak &lt;script&gt;" in tried.text
    assert str(hostile_workspace) in page.text
    for html in (tried.text, page.text):
        assert "<script>" not in html
        assert "<img src=x" not in html


async def test_a_browser_gives_the_key_as_password(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path, "tidal-key") as running:
        refused = await running.http.get("/")
        assert refused.status_code == 401
        assert "Basic" in refused.headers["www-authenticate"]
        for password, status in (("tidal-key", 200), ("other", 401), ("", 401)):
            credentials = base64.b64encode(f"me:{password}".encode()).decode()
            page = await running.http.get("/", headers={"authorization": f"Basic {credentials}"})
            assert page.status_code == status
        broken = await running.http.get("/", headers={"authorization": "Basic no base64"})
        assert broken.status_code == 401

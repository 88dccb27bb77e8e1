"""A real Chromium on a service over a scripted Ollama; run by `make test-browser`, which installs what it needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from tests.browser.chromium import launched
from tests.retrievers.memory_support import two_core_files, write_bank
from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import Running, running_service

HOSTILE = "<script>window.hostile = 1</script><img src=x onerror='window.hostile = 2'>"
# Of a machine with much else to do.
expect.set_options(timeout=20_000)
LOCAL = {"", "127.0.0.1", "localhost"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


# For what does not depend on it.
at_one_width = pytest.mark.parametrize("watched", [1600], indirect=True)


@dataclass
class Watched:
    """A page, with what it complained about and where it asked for anything."""

    page: Page
    running: Running
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def heard(self, said: ConsoleMessage) -> None:
        if said.type in {"error", "warning"}:
            self.complaints.append(said.text)

    def check(self) -> None:
        """No console error, nothing asked of another machine, no script of a bank's."""
        assert self.complaints == []
        assert [url for url in self.asked if urlsplit(url).hostname not in LOCAL and not url.startswith("data:")] == []


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    files = two_core_files() | {f"{HOSTILE.replace('/', '')[:40]}.md": f"# {HOSTILE}\n\nGauges speak {HOSTILE}.\n"}
    write_bank(tmp_path / "project" / "memory-bank", files)
    return tmp_path / "project"


@pytest_asyncio.fixture(loop_scope="module")
async def running(tmp_path: Path, workspace: Path) -> AsyncIterator[Running]:
    memory = {"enabled": True, "embedder": "ollama", "default_workspace": workspace}
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path, memory=memory) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright, launched(playwright) as chromium:
        yield chromium


@pytest_asyncio.fixture(params=[360, 1600], ids=["narrow", "wide"], loop_scope="module")
async def watched(request: pytest.FixtureRequest, browser: Browser, running: Running) -> AsyncIterator[Watched]:
    width = int(request.param)
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if width < 1000 else "light"
    )
    page = await context.new_page()
    watching = Watched(page, running)
    page.on("console", watching.heard)
    page.on("pageerror", lambda error: watching.complaints.append(str(error)))
    page.on("request", lambda asked: watching.asked.append(asked.url))
    yield watching
    watching.check()
    await context.close()

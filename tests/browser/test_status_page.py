"""The status page as a person uses it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Watched, at_one_width
from tests.support.ollama_replies import Reply
from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import eventually, running_service
from wire.page.recent import KEPT

pytestmark = pytest.mark.asyncio(loop_scope="module")
QUESTION = "what do the gauges speak?"


async def opened(watched: Watched) -> Page:
    await watched.page.goto(watched.running.base_url)
    await expect(watched.page.locator("#line")).to_have_text("live")
    return watched.page


async def tried(page: Page, text: str = QUESTION) -> None:
    await page.get_by_label("What you would type").fill(text)
    await page.get_by_role("button", name="Who would answer?").click()


async def fits(page: Page) -> bool:
    """Whether nothing has to be scrolled sideways."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


async def test_a_past_requests_decision_is_opened_and_closed_by_keyboard(watched: Watched) -> None:
    page = await opened(watched)
    await watched.running.chat("implement the tide parser", headers={"x-session-id": "gauges"})
    row = page.locator("#requests tbody tr").first
    await expect(row).to_contain_text("gauges")
    await row.locator("a").focus()
    await page.keyboard.press("Enter")
    window = page.get_by_role("dialog", name="A past request")
    await expect(window.locator("h3")).to_contain_text("implementation")
    await expect(window).to_contain_text("queued")
    await page.keyboard.press("Escape")
    await expect(window).to_be_hidden()
    await expect(row.locator("a")).to_be_focused()
    assert await fits(page)


async def test_a_request_can_be_tried_and_its_answer_watched(watched: Watched) -> None:
    page = await opened(watched)
    watched.running.ollama.script(Reply.thinking("hm", then=("the ", "tide ", "turns")).gate_after(2))
    await page.get_by_role("combobox", name="Mode").select_option("plan")
    await tried(page)
    decision = page.locator("#decision")
    await expect(decision).to_contain_text("From the memory bank")
    await expect(decision.locator("tr.chosen")).to_contain_text("load")
    assert watched.running.ollama.chats == []
    await page.get_by_role("button", name="Send it").click()
    await expect(page.locator("#answer")).to_have_text("the ")
    await expect(page.locator("#answer-state")).to_have_text("Answering.")
    watched.running.ollama.release()
    await expect(page.locator("#answer")).to_have_text("the tide turns")
    await expect(page.locator("#answer-state")).to_have_text("The answer is whole.")
    await expect(page.locator("#answered-by")).not_to_be_empty()
    assert await fits(page)


@at_one_width
async def test_an_answer_can_be_stopped(watched: Watched) -> None:
    page, ollama = await opened(watched), watched.running.ollama
    ollama.script(Reply.text("the ", "tide").gate_after(1))
    await page.get_by_label("What you would type").fill(QUESTION)
    await page.get_by_role("button", name="Send it").click()
    await expect(page.locator("#answer")).to_have_text("the ")
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator("#answer-state")).to_have_text("Stopped.")
    await ollama.until(lambda: len(ollama.disconnects) == 1, "the call to end", 5)


@at_one_width
async def test_what_a_person_does_outlasts_an_update(watched: Watched) -> None:
    page = await opened(watched)
    await watched.running.chat("@fast one")
    first = page.locator("#requests tbody a").last
    await page.locator("#banks summary").click()
    field = page.get_by_label("What you would type")
    await field.press_sequentially("half a ques")
    await first.focus()
    place = await field.bounding_box()
    await watched.running.chat("@fast two")
    await expect(page.locator("#requests tbody tr")).to_have_count(2)
    await expect(first).to_be_focused()
    await expect(page.locator("#banks details")).to_have_attribute("open", "")
    await expect(field).to_have_value("half a ques")
    assert await field.bounding_box() == place


@at_one_width
async def test_a_hidden_page_follows_nothing(watched: Watched) -> None:
    """A browser has six connections for all pages of a server: the seventh tab stayed empty."""
    page, intake = await opened(watched), watched.running.app.state.intake
    await page.evaluate("Object.defineProperty(document, 'hidden', { get: () => window.away, configurable: true })")
    await page.evaluate("window.away = true; document.dispatchEvent(new Event('visibilitychange'))")
    await eventually(lambda: intake.running == 0, "the stream to end", 5)
    await page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    await eventually(lambda: intake.running == 1, "the page to follow again", 5)


async def test_a_hostile_bank_is_text(watched: Watched) -> None:
    page = await opened(watched)
    await tried(page)
    await expect(page.locator("#decision summary").first).to_be_visible()
    for summary in await page.locator("#decision summary, #banks summary").all():
        await summary.click()
    await expect(page.locator("#decision")).to_contain_text("<script>window.hostile = 1</script>")
    assert await page.evaluate("window.hostile === undefined")
    assert await fits(page)


async def test_an_error_is_one_sentence(watched: Watched) -> None:
    page = await opened(watched)
    await watched.running.ollama.stop_listening(drop_running=True)
    await page.get_by_label("Workspace").fill("x" * 4000)
    await tried(page, "hello")
    await expect(page.locator("#decision")).to_have_text(re.compile(r"^\w.*[.:]"))
    assert await fits(page)


async def test_nothing_stands_in_the_way_of_anybody(watched: Watched) -> None:
    """Neither in the light nor in the dark, nor in the window of a past request, nor with all that are kept."""
    page = await opened(watched)
    await watched.running.chat("@code the parser", headers={"x-session-id": "s" * 200})
    await tried(page)
    await expect(page.locator("#decision h3")).to_be_visible()
    await expect(page.locator("#requests tbody tr")).to_have_count(1)
    assert await violations(page) == []
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        assert await violations(page, {"runOnly": ["color-contrast"]}) == []
    await page.locator("#requests tbody a").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await violations(page) == []
    past = watched.running.service.recent.requests[0]
    for _ in range(KEPT):
        journal = watched.running.service.journal(past.id)
        journal.saw(past.routed)
        journal.close("a_code_that_is_rather_long_for_its_column")
    await expect(page.locator("#requests tbody tr")).to_have_count(KEPT)
    assert await fits(page)


async def violations(page: Page, options: dict[str, Any] | None = None) -> list[Any]:
    """What axe finds, of any weight."""
    found = (await Axe().run(page, options=options)).response["violations"]
    return [(each["id"], each["help"], each["nodes"][0]["html"]) for each in found]


async def test_a_key_is_asked_for_as_password(browser: Browser, tmp_path: Path) -> None:
    """Both challenges stood in one header, of which Chromium reads the first alone: nobody was asked."""
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path, "tidal-key") as running:
        context = await browser.new_context(http_credentials={"username": "me", "password": "tidal-key"})
        page = await context.new_page()
        await page.goto(running.base_url)
        await expect(page.locator("#line")).to_have_text("live")
        await tried(page)
        await expect(page.locator("#decision h3")).to_be_visible()
        await context.close()

"""The status page as a person uses it."""

from __future__ import annotations

import re

from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Page, expect

from tests.browser.conftest import Watched
from tests.support.ollama_replies import Reply

SERIOUS = {"serious", "critical"}


async def opened(watched: Watched) -> Page:
    await watched.page.goto(watched.running.base_url)
    await expect(watched.page.locator("#line")).to_have_text("live")
    return watched.page


async def fits(page: Page) -> bool:
    """Whether nothing has to be scrolled sideways."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


async def test_a_request_of_an_agent_appears_by_itself(watched: Watched) -> None:
    page = await opened(watched)
    await watched.running.chat("implement the tide parser", headers={"x-session-id": "gauges"})
    row = page.locator("#requests tbody tr").first
    await expect(row).to_contain_text("gauges")
    await row.locator("a").click()
    await expect(page.locator("#decision h3")).to_contain_text("implementation")
    assert await fits(page)


async def test_a_request_can_be_tried_and_its_answer_watched(watched: Watched) -> None:
    page = await opened(watched)
    watched.running.ollama.script(Reply.text("the ", "tide ", "turns"))
    await page.get_by_label("What you would type").fill("what do the gauges speak?")
    await page.get_by_role("combobox", name="Mode").select_option("plan")
    await page.get_by_role("button", name="Who would answer?").click()
    decision = page.locator("#decision")
    await expect(decision).to_contain_text("From the memory bank")
    await expect(decision.locator("tr.chosen")).to_have_count(1)
    assert watched.running.ollama.chats == []
    await page.get_by_role("button", name="Send it").click()
    await expect(page.locator("#answer")).to_have_text("the tide turns")
    await expect(page.locator("#answered-by")).not_to_be_empty()
    assert await fits(page)


async def test_a_hostile_bank_is_text(watched: Watched) -> None:
    page = await opened(watched)
    await page.get_by_label("What you would type").fill("what do the gauges speak?")
    await page.get_by_role("button", name="Who would answer?").click()
    for summary in await page.locator("#decision summary, #banks summary").all():
        await summary.click()
    await expect(page.locator("#decision")).to_contain_text("<script>window.hostile = 1</script>")
    assert await page.evaluate("window.hostile === undefined")


async def test_an_error_is_one_sentence(watched: Watched) -> None:
    page = await opened(watched)
    await watched.running.ollama.stop_listening(drop_running=True)
    await page.get_by_label("What you would type").fill("hello")
    await page.get_by_label("Workspace").fill("x" * 4000)
    await page.get_by_role("button", name="Who would answer?").click()
    await expect(page.locator("#decision")).to_have_text(re.compile(r"\w+"))
    assert await fits(page)


async def test_nothing_serious_stands_in_the_way_of_anybody(watched: Watched) -> None:
    page = await opened(watched)
    await watched.running.chat("implement the tide parser")
    await expect(page.locator("#requests tbody tr")).to_have_count(1)
    await page.get_by_label("What you would type").fill("what do the gauges speak?")
    await page.get_by_role("button", name="Who would answer?").click()
    await expect(page.locator("#decision h3")).to_be_visible()
    found = (await Axe().run(page)).response["violations"]
    assert [(each["id"], each["help"]) for each in found if each["impact"] in SERIOUS] == []

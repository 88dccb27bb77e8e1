"""The pages that libraries bring: LangServe's two playgrounds, each to a streamed answer, and the API's description."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Watched, at_one_width
from tests.support.ollama_replies import Reply

# LangServe 0.3.3 reads `model_fields` from an instance, and streams with what LangChain will drop.
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute"),
    pytest.mark.filterwarnings("ignore:astream_log is deprecated"),
]


async def test_the_playground_is_filled_in_and_streams(watched: Watched) -> None:
    page, ollama = watched.page, watched.running.ollama
    await page.goto(f"{watched.running.base_url}/router/playground/")
    await expect(page.get_by_text("Validation Errors")).to_have_count(0)
    await page.locator("textarea").first.fill("what do the gauges speak?")
    ollama.script(Reply.text("the ", "tide").gate_after(1))
    await page.get_by_role("button", name="Start").click()
    await expect(page.get_by_text("the ", exact=True).first).to_be_visible()
    ollama.release()
    await expect(page.get_by_text("the tide", exact=True).first).to_be_visible()


@at_one_width
async def test_the_routes_are_shown_without_a_network(watched: Watched) -> None:
    page = watched.page
    await page.goto(f"{watched.running.base_url}/docs")
    await expect(page.get_by_text("/v1/chat/completions").first).to_be_attached()


async def test_the_chat_names_the_route_of_each_answer(watched: Watched) -> None:
    page, ollama = watched.page, watched.running.ollama
    await page.goto(f"{watched.running.base_url}/chat/playground/")
    for question, role in (("@fast what do the gauges speak?", "memory_fast"), ("@code the parser", "implementation")):
        ollama.script(Reply.text("the ", "tide").gate_after(1))
        # It takes nothing while the last answer's stream is open.
        await expect(page.locator(".animate-spin")).to_have_count(0)
        await page.get_by_placeholder("Send a message...").fill(question)
        await page.keyboard.press("Enter")
        answer = page.locator("textarea").first
        await expect(answer).to_have_value(re.compile(rf"→ {role} · .*\n\nthe $"))
        ollama.release()
        await expect(answer).to_have_value(re.compile(rf"→ {role} · .*\n\nthe tide$"))
    assert "→" not in str(ollama.chats[-1]["messages"])

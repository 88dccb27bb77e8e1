"""Takes the README's picture of the status page: `python -m tests.browser.screenshot`, or `make screenshot`."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

from playwright.async_api import Page, async_playwright, expect

from tests.browser.chromium import launched
from tests.retrievers.git_support import Repo
from tests.support.ollama_replies import Reply
from tests.support.scripted_ollama import REFERENCE_MODELS, Model, ScriptedOllama
from tests.support.service import Running, running_service

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "status.png"
# As on the reference machine: what of each model lies on the card.
VRAM_BYTES = {"qwen3:30b-a3b": 8_900_000_000, "qwen2.5-coder:32b": 5_800_000_000}
PROJECT = {
    "memory-bank/projectbrief.md": "# Brief\n\nTide tables from harbour gauges. The parser is `src/parser.py`.\n",
    "memory-bank/activeContext.md": "# Now\n\nThe checksum in `src/checksum.py`: the first gauge is dropped.\n",
    "memory-bank/progress.md": "# Progress\n\n- [x] read NMEA 0183\n- [ ] keep the last height of a silent gauge\n",
    "src/parser.py": "",
    "src/checksum.py": "",
}
# Its day: how long the conversation is, what was asked, and what the model then told.
DAY = (
    ("harbour", 2, "what are we working on?", Reply.text("The gauges.").counts(prompt=870, answer=41, cached=0)),
    ("gauges", 3, "implement the tide parser", Reply.text("Done.").counts(prompt=1_390, answer=612, cached=0)),
    ("gauges", 9, "test a gauge that is silent", Reply.text("So.").counts(prompt=2_460, answer=388, cached=1_360)),
    ("gauges", 14, "it fails: fix the checksum", Reply.text("Fixed.").counts(prompt=3_380, answer=240, cached=2_440)),
    ("harbour", 5, "what does NMEA mean?", Reply.text("A format.").counts(prompt=1_270, answer=33, cached=860)),
)  # fmt: skip
FILLING = "The parser reads one sentence a second, checks its sum and keeps the last height of each gauge. " * 4
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": FILLING,
            "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
        },
    }
    for name in ("read_file", "write_file", "search_files", "run_command")
]


async def work(running: Running) -> None:
    """The day's requests, one after the other; the two models that answer take their time to load."""
    running.ollama.script_load(*[Reply().gate_before_headers()] * 2)
    loading = asyncio.create_task(_load(running.ollama))
    for session, turns, text, reply in DAY:
        running.ollama.script(reply)
        said = [
            message
            for turn in range(turns)
            for message in (
                {"role": "user", "content": f"{session} {turn}: {FILLING}"},
                {"role": "assistant", "content": FILLING},
            )
        ]
        messages = [{"role": "system", "content": FILLING * 6}, *said, {"role": "user", "content": text}]
        answer = await running.chat(headers={"x-session-id": session}, messages=messages, tools=TOOLS)
        assert answer.status_code == 200, answer.text
    await loading


async def _load(ollama: ScriptedOllama) -> None:
    for seconds in (1.2, 2.1):
        await ollama.wait_held(timeout_s=60)
        await asyncio.sleep(seconds)
        ollama.release()


async def hide_machine(page: Page, running: Running, workspace: Path) -> None:
    """Show the paths and the port that a reader would have in place of this machine's."""
    await page.evaluate(
        """(names) => {
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {
                for (const [here, there] of names) {
                    walker.currentNode.data = walker.currentNode.data.replaceAll(here, there);
                }
            }
        }""",
        [
            [str(workspace.parent), "/home/you"],
            [running.base_url, "http://127.0.0.1:8000"],
            [running.ollama.base_url, "http://localhost:11434"],
        ],
    )


async def take(folder: Path) -> None:
    """The page after a day of work, with a request tried on it."""
    workspace = folder / "tide-tables"
    Repo(workspace).commit(PROJECT)
    models = [replace(model, vram_bytes=VRAM_BYTES.get(model.name)) for model in REFERENCE_MODELS]
    models.append(Model("nomic-embed-text", capabilities=("embedding",)))
    memory = {"enabled": True, "embedder": "ollama", "default_workspace": workspace}
    async with (
        ScriptedOllama(models) as ollama,
        running_service(ollama, folder, memory=memory) as running,
        async_playwright() as playwright,
        launched(playwright) as browser,
    ):
        await work(running)
        page = await browser.new_page(viewport={"width": 1320, "height": 1180}, color_scheme="light")
        await page.goto(running.base_url)
        await page.get_by_label("What you would type").fill("why does the parser drop the first gauge?")
        await page.get_by_role("button", name="Who would answer?").click()
        await expect(page.locator("#decision h3")).to_be_visible()
        await expect(page.locator("#line")).to_have_text("live")
        await hide_machine(page, running, workspace)
        await page.evaluate("scrollTo(0, 0)")
        PICTURE.parent.mkdir(exist_ok=True)
        await page.screenshot(path=PICTURE)


def main() -> None:
    """Take it anew."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(take(Path(folder)))


if __name__ == "__main__":
    main()

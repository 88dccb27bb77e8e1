"""The real Chromium of the browser tests: Debian's, or whichever `CHROMIUM` names."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Playwright

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@asynccontextmanager
async def launched(playwright: Playwright) -> AsyncIterator[Browser]:
    """A browser that asks nobody for anything by itself."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "no Chromium: `make test-browser` installs Debian's, or set CHROMIUM to one"
    browser = await playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
    yield browser
    await browser.close()

"""What of README and the guide follows from the code is as the code has it."""

from __future__ import annotations

import re

from rich.console import Console

from config.schema import ModelsFile
from tests.config.config_support import MODELS, shipped
from tests.docs.pages import ROOT, blocks
from tests.support.generated_docs import README, with_picture
from tests.support.service import Running
from wire.welcome import welcome

FRAME = re.compile(r"^[│╭╰].*[│╮╯]$", re.MULTILINE)


def test_the_picture_is_the_compiled_graphs() -> None:
    page = README.read_text(encoding="utf-8")
    assert blocks("mermaid")[0].page == README
    assert with_picture(page) == page, "run `make docs`"


def test_the_roles_are_those_that_are_shipped() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\S+)` \| (.+) \|$", README.read_text(encoding="utf-8"), re.MULTILINE)
    roles = ModelsFile.model_validate(shipped(MODELS)).roles
    assert rows[:3] == [(role, settings.model, settings.job) for role, settings in roles.items()]


async def test_the_panel_in_the_guide_is_the_one_that_is_shown(running: Running) -> None:
    [shown] = [block.text for block in blocks("text") if block.page == ROOT / "docs" / "guide.md"]
    service = running.service
    bank = await service.memory.status(ROOT.parent / "no project")
    console = Console(width=80, record=True, file=None, color_system=None)
    with console.capture() as captured:
        console.print(welcome(service.settings, running.base_url, service.models.status, bank))
    assert _labels(captured.get()) == _labels(shown)


def _labels(panel: str) -> list[str]:
    """What does not depend on the machine: each line's first word."""
    return [line.strip("│ ").split("  ")[0].split(" ")[0] for line in FRAME.findall(panel)]

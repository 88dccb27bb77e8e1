from __future__ import annotations

from pathlib import Path

import pytest

from chains.events import Finished, Timings, Usage
from graphs.speeds import Speeds
from tests.chains.chain_support import NAMES
from tests.graphs.graph_support import SPEEDS

SLOW = Finished("stop", Usage(5000, 3), Timings(30.0, 100.0, 1.0))


async def test_what_was_learned_outlasts_a_restart(tmp_path: Path) -> None:
    speeds = Speeds(SPEEDS, NAMES, tmp_path / "new" / "speeds.json")
    speeds.learn("memory_fast", NAMES["memory_fast"], SLOW)
    await speeds.save()
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - nothing else runs
    await speeds.save(now=True)
    again = Speeds(SPEEDS, NAMES, tmp_path / "new" / "speeds.json")
    await again.load()
    assert again.rates.as_record() == speeds.rates.as_record()
    assert again.rates.speed("memory_fast") != SPEEDS["memory_fast"]
    other = Speeds(SPEEDS, {**NAMES, "memory_fast": "another"}, tmp_path / "new" / "speeds.json")
    await other.load()
    assert other.rates.speed("memory_fast") == SPEEDS["memory_fast"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"models": 1, "speeds": {}}', '{"models": {}, "speeds": []}'])
async def test_an_unsound_file_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "speeds.json"
    file.write_text(text)
    speeds = Speeds(SPEEDS, NAMES, file)
    await speeds.load()
    assert speeds.rates.speed("implementation") == SPEEDS["implementation"]


def test_another_model_than_the_roles_own_teaches_nothing() -> None:
    speeds = Speeds(SPEEDS, NAMES)
    speeds.learn("memory_fast", "smollm2:360m", SLOW)
    speeds.learn("memory_fast", NAMES["memory_fast"], Finished("stop", None, None))
    assert speeds.rates.speed("memory_fast") == SPEEDS["memory_fast"]

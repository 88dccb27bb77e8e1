"""npm's `openai` and `ai`, the packages that agents written in TypeScript stand on."""

import json
from pathlib import Path
from typing import Any

from tests.clients.running_client import installed, run_client
from tests.support.ollama_embedding import EMBEDDING_DIMENSION
from tests.support.scripted_ollama import Reply
from tests.support.service import MODEL, Running

HERE = Path(__file__).parent
CALL = Reply.tool_calls(("weather", {"town": "Köln"}))


async def told_by(script: str, running: Running, tmp_path: Path) -> dict[str, Any]:
    ended = await run_client("node", HERE / script, running.openai_url, MODEL, cwd=HERE, home=tmp_path / "home")
    told: dict[str, Any] = json.loads(ended.checked().splitlines()[-1])
    return told


async def test_openai(running: Running, tmp_path: Path) -> None:
    installed("openai")
    hello = Reply.text("Hel", "lo").counts(prompt=5, answer=2)
    running.ollama.script(hello, hello, CALL, Reply.text("It rains."), hello)
    told = await told_by("openai_package.mjs", running, tmp_path)
    assert told.pop("models")[0] == MODEL
    assert told == {
        "whole": "Hello",
        "streamed": "Hello",
        "totalTokens": 7,
        "toolResult": "rain in Köln",
        "afterTool": "It rains.",
        "response": "Hello",
        "dimensions": [EMBEDDING_DIMENSION] * 2,
        "refused": {"status": 400, "code": "invalid_request", "param": "n", "kind": "BadRequestError"},
    }


async def test_ai(running: Running, tmp_path: Path) -> None:
    installed("ai")
    thought = Reply.text("Hel", "lo", thinking=("hm",)).counts(prompt=5, answer=2)
    running.ollama.script(Reply.text("Hello"), thought, CALL, Reply.text("It rains."))
    assert await told_by("ai_package.mjs", running, tmp_path) == {
        "whole": "Hello",
        "finishReason": "stop",
        "streamed": "Hello",
        "reasoning": "hm",
        "inputTokens": 5,
        "toolResult": "rain in Köln",
        "afterTool": "It rains.",
    }

"""A server that reads less of a prompt than it was sent is found out by its count, whatever it was told."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from tests.support.ollama_replies import Reply
from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import running_service

QUESTION = {"role": "user", "content": "word " * 3000}
ANSWER = {"role": "assistant", "content": "ok"}


async def test_a_conversation_that_was_cut_is_told_until_a_whole_prompt_is_read_again(tmp_path: Path) -> None:
    further = {"role": "user", "content": "and " * 200}
    talks = [[QUESTION], [QUESTION, ANSWER, further], [QUESTION, ANSWER, further, ANSWER, further]]
    counts = [3100, 1950, 3600]
    cuts = []
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path) as running:
        ollama.script(*(Reply.text("ok").counts(prompt=count, answer=1) for count in counts))
        with capture_logs() as lines:
            for talk in talks:
                await running.chat(messages=talk, model="memory_fast")
                counting = (await running.http.get("/health")).json()["counting"]
                cuts.append(counting["qwen3:30b-a3b"]["cut"])
    assert [cut and cut["counted_tokens"] for cut in cuts] == [None, 1950, None]
    assert [line.get("prompt_cut", False) for line in lines if line["event"] == "request"] == [False, True, False]
    assert [line["log_level"] for line in lines if "read only a part" in line["event"]] == ["error"]

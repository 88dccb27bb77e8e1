"""No key, prompt, answer or file text in the log at its usual level, whichever way a request takes."""

from pathlib import Path
from typing import Any

import pytest

from config.settings import LoggingSettings
from tests.support.scripted_ollama import Reply, ScriptedOllama
from tests.support.service import CHAT, MODEL, ask, running_service
from wire.logs import set_up_logging

CANARY = "cAnArY-7f3a"
SAID = f"fix {CANARY} please"
MESSAGES = [{"role": "user", "content": SAID}]


def bodies() -> list[tuple[str, dict[str, Any]]]:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"title": CANARY}}}
    odd = {"id": "c", "type": "function", "function": {"name": "f", "arguments": f'{{"{CANARY}'}}
    return [
        (CHAT, ask(SAID)),
        (CHAT, ask(SAID, stream=True, tools=[tool])),
        (CHAT, ask(SAID, messages=[{"role": CANARY, "content": CANARY}])),
        (CHAT, ask(SAID, temperature=CANARY)),
        (CHAT, ask(SAID, model=CANARY)),
        (CHAT, ask(SAID, messages=[*MESSAGES, {"role": "assistant", "content": None, "tool_calls": [odd]}])),
        (CHAT, ask(f"{CANARY} " * 150_000)),
        ("/v1/route", ask(SAID)),
        ("/v1/responses", {"model": MODEL, "input": SAID, "stream": True}),
        ("/v1/responses", {"model": MODEL, "input": [{"role": "user", "content": CANARY, "type": CANARY}, 5]}),
        ("/v1/messages", {"model": MODEL, "max_tokens": 9, "messages": MESSAGES, "system": CANARY}),
        ("/v1/messages", {"model": MODEL, "max_tokens": CANARY, "messages": MESSAGES}),
        ("/v1/embeddings", {"model": CANARY, "input": SAID}),
        ("/router/invoke", {"input": {"messages": [{"type": "human", "content": SAID}]}}),
        ("/router/invoke", {"input": {"messages": [{"type": CANARY, "content": SAID}]}}),
        ("/router/stream", {"input": {"messages": [{"type": "human", "content": SAID}], "workspace": 5}}),
        (f"/memory/refresh?workspace=/{CANARY}", {"workspace": CANARY}),
        (f"/{CANARY}", {"a": CANARY}),
    ]


async def test_a_canary_goes_every_way_and_is_never_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = tmp_path / "project" / "memory-bank"
    bank.mkdir(parents=True)
    for name in ("projectbrief.md", "activeContext.md"):
        (bank / name).write_text(f"# Brief\n\n{CANARY} waters the greenhouse.\n", encoding="utf-8")
    key = {"authorization": f"Bearer {CANARY}", "x-workspace": str(bank.parent)}
    replies = [
        Reply.text(CANARY),
        Reply.tool_calls(("f", {"a": CANARY})),
        Reply.http(500, CANARY),
        Reply.text(CANARY, CANARY).cut_after(1),
    ]
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path, CANARY) as running:
        set_up_logging(LoggingSettings())
        for reply in replies:
            ollama.default(reply)
            for path, body in bodies():
                await running.http.post(path, json=body, headers=key)
        await running.http.post(CHAT, content=f'{{"{CANARY}'.encode(), headers=key)
        await running.http.get(f"/memory/search?q={CANARY}", headers=key)
        refused = await running.http.get("/v1/models", headers={"authorization": f"Bearer {CANARY}x"})
        refused_host = await running.http.get("/v1/models", headers={"host": f"{CANARY}.example"})
    logged = "".join(capsys.readouterr())
    assert (refused.status_code, refused_host.status_code) == (401, 403)
    assert logged.count('"event": "request"') + logged.count("request  ") > len(replies)
    assert CANARY not in logged

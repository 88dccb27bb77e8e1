"""opencode solves a task over the same API, through Vercel's `@ai-sdk/openai-compatible`."""

import json
from pathlib import Path

from tests.clients.running_client import installed, run_client
from tests.support.ollama_replies import Reply
from tests.support.service import MODEL, Running
from tests.support.task_script import (
    COMMAND,
    REMEMBERED,
    RIGHT,
    SUMMARY,
    TASK,
    WRONG,
    assert_solved,
    offers_tools,
    plays,
    seen_by_model,
    write_workspace,
)


async def test_it_solves_a_task(running: Running, tmp_path: Path) -> None:
    workspace = write_workspace(tmp_path / "project")
    file = str(workspace / "calc.py")
    steps = [
        Reply.tool_calls(("read", {"filePath": file}), text=("I read it.",)),
        Reply.tool_calls(("edit", {"filePath": file, "oldString": WRONG, "newString": RIGHT})),
        Reply.tool_calls(("bash", {"command": COMMAND, "description": "Runs the check"})),
        Reply.text(SUMMARY),
    ]
    running.ollama.default(plays(steps, belongs=offers_tools))
    settings = {
        "model": f"router/{MODEL}",
        "small_model": f"router/{MODEL}",
        "provider": {
            "router": {
                "npm": "@ai-sdk/openai-compatible",
                "options": {"baseURL": running.openai_url, "apiKey": "sk-local"},
                "models": {MODEL: {"limit": {"context": 200_000, "output": 8_192}}},
            }
        },
        "permission": {"edit": "allow", "bash": "allow"},
        "autoupdate": False,
    }
    ended = await run_client(
        installed("opencode-ai").parent / ".bin" / "opencode",
        "run",
        TASK,
        cwd=workspace,
        home=tmp_path / "home",
        variables={
            "OPENCODE_CONFIG_CONTENT": json.dumps(settings),
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
        },
    )
    assert SUMMARY in ended.checked()
    assert_solved(workspace)
    seen = seen_by_model(running.ollama.chats, offers_tools)
    assert REMEMBERED in seen
    assert WRONG in seen
    assert "all passed" in seen

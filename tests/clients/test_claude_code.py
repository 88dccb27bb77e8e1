"""Anthropic's Claude Code solves a task over `/v1/messages`."""

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
        Reply.tool_calls(("Read", {"file_path": file}), text=("I read it.",)),
        Reply.tool_calls(("Edit", {"file_path": file, "old_string": WRONG, "new_string": RIGHT})),
        Reply.tool_calls(("Bash", {"command": COMMAND, "description": "Runs the check"})),
        Reply.text(SUMMARY),
    ]
    running.ollama.default(plays(steps, belongs=offers_tools))
    ended = await run_client(
        "node",
        installed("@anthropic-ai/claude-code") / "cli-wrapper.cjs",
        "--print",
        TASK,
        "--output-format",
        "json",
        "--permission-mode",
        "bypassPermissions",
        cwd=workspace,
        home=tmp_path / "home",
        variables={
            "ANTHROPIC_BASE_URL": running.base_url,
            "ANTHROPIC_AUTH_TOKEN": "sk-local",
            "ANTHROPIC_MODEL": MODEL,
            "ANTHROPIC_SMALL_FAST_MODEL": "memory_fast",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "IS_SANDBOX": "1",
        },
    )
    told = json.loads(ended.checked())
    assert (told["subtype"], told["is_error"], told["result"]) == ("success", False, SUMMARY)
    assert told["permission_denials"] == []
    assert_solved(workspace)
    seen = seen_by_model(running.ollama.chats, offers_tools)
    assert REMEMBERED in seen
    assert WRONG in seen
    assert "all passed" in seen

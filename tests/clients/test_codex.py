"""OpenAI's Codex solves a task over `/v1/responses`, and calls a tool that stands in a namespace."""

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

SETTINGS = """
model = "{model}"
model_provider = "router"
web_search = "disabled"
check_for_update_on_startup = false
analytics.enabled = false

[model_providers.router]
name = "router"
base_url = "{url}"
wire_api = "responses"
"""


async def test_it_solves_a_task(running: Running, tmp_path: Path) -> None:
    workspace, home = write_workspace(tmp_path / "project"), tmp_path / "home"
    edit = f"sed -i 's/{WRONG}/{RIGHT}/' calc.py"
    steps = [
        Reply.tool_calls(("exec_command", {"cmd": "cat calc.py"}), text=("I read it.",)),
        Reply.tool_calls(("multi_agent_v1__close_agent", {"target": "nobody"})),
        Reply.tool_calls(("exec_command", {"cmd": f"{edit} && {COMMAND}"})),
        Reply.text(SUMMARY),
    ]
    running.ollama.default(plays(steps, belongs=offers_tools))
    home.mkdir()
    (home / "config.toml").write_text(SETTINGS.format(model=MODEL, url=running.openai_url), encoding="utf-8")
    ended = await run_client(
        "node",
        installed("@openai/codex") / "bin" / "codex.js",
        "exec",
        "--json",
        "--skip-git-repo-check",
        "--dangerously-bypass-approvals-and-sandbox",
        TASK,
        cwd=workspace,
        home=home,
        variables={"CODEX_HOME": str(home)},
    )
    events = [json.loads(line) for line in ended.checked().splitlines() if line.startswith("{")]
    assert events[-1]["type"] == "turn.completed", events[-1]
    said = [event["item"].get("text") for event in events if event["type"] == "item.completed"]
    assert said[-1] == SUMMARY
    assert_solved(workspace)
    seen = seen_by_model(running.ollama.chats, offers_tools)
    assert REMEMBERED in seen
    assert WRONG in seen
    assert "invalid agent id nobody" in seen
    assert "all passed" in seen

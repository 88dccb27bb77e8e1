"""Cline's command line, in both of its kinds, solves a task: it reads, edits, runs and finishes."""

import json
from pathlib import Path
from typing import Any

from tests.clients.running_client import installed, run_client
from tests.support.ollama_replies import JsonObject, Reply
from tests.support.service import MODEL, Running
from tests.support.task_script import (
    COMMAND,
    RIGHT,
    SUMMARY,
    TASK,
    WRONG,
    assert_solved,
    plays,
    seen_by_model,
    write_workspace,
)

QUIET = {"CLINE_NO_AUTO_UPDATE": "1"}


def events_in(stdout: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stdout.splitlines() if line.startswith("{")]


def offers_tools(chat: JsonObject) -> bool:
    return bool(chat.get("tools"))


def describes_tools(chat: JsonObject) -> bool:
    return "<read_file>" in chat["messages"][0]["content"]


async def test_the_sdk_kind_solves_a_task(running: Running, tmp_path: Path) -> None:
    workspace, state = write_workspace(tmp_path / "project"), tmp_path / "state"
    file = str(workspace / "calc.py")
    steps = [
        Reply.tool_calls(("read_files", {"files": [{"path": file}]}), text=("I read it.",)),
        Reply.tool_calls(("editor", {"path": file, "old_text": WRONG, "new_text": RIGHT})),
        Reply.tool_calls(("run_commands", {"commands": [COMMAND]})),
        Reply.text(SUMMARY),
    ]
    running.ollama.default(plays(steps, belongs=offers_tools))
    cline = installed("cline").parent / ".bin" / "cline"
    where = ("--baseurl", running.openai_url, "--apikey", "sk-local", "--modelid", MODEL)
    (
        await run_client(
            cline,
            "auth",
            "--provider",
            "openai-compatible",
            *where,
            "--data-dir",
            state,
            cwd=workspace,
            home=tmp_path / "home",
            variables=QUIET,
        )
    ).checked()
    ended = await run_client(
        cline, "--data-dir", state, "--json", TASK, cwd=workspace, home=tmp_path / "home", variables=QUIET
    )
    result = next(event for event in reversed(events_in(ended.checked())) if event["type"] == "run_result")
    assert (result["finishReason"], result["text"]) == ("completed", SUMMARY)
    assert_solved(workspace)
    seen = seen_by_model(running.ollama.chats, offers_tools)
    assert WRONG in seen
    assert "all passed" in seen


async def test_the_legacy_kind_solves_a_task(running: Running, tmp_path: Path) -> None:
    workspace, state = write_workspace(tmp_path / "project"), tmp_path / "state"
    edit = f"------- SEARCH\n    {WRONG}\n=======\n    {RIGHT}\n+++++++ REPLACE"
    steps = [
        Reply.text("I read it.\n", "<read_file>\n<path>calc.py</path>\n", "</read_file>"),
        Reply.text(f"<replace_in_file>\n<path>calc.py</path>\n<diff>\n{edit}\n</diff>\n</replace_in_file>"),
        Reply.text(
            f"<execute_command>\n<command>{COMMAND}</command>\n<requires_approval>false</requires_approval>\n"
            "</execute_command>"
        ),
        Reply.text(f"<attempt_completion>\n<result>{SUMMARY}</result>\n</attempt_completion>"),
    ]
    running.ollama.default(plays(steps, belongs=describes_tools))
    cline = installed("cline-legacy") / "dist" / "cli.mjs"
    where = ("--baseurl", running.openai_url, "--apikey", "sk-local", "--modelid", MODEL)
    (
        await run_client(
            "node",
            cline,
            "auth",
            "--provider",
            "openai",
            *where,
            "--config",
            state,
            cwd=workspace,
            home=tmp_path / "home",
            variables=QUIET,
        )
    ).checked()
    ended = await run_client(
        "node",
        cline,
        "task",
        "-y",
        "--json",
        "--config",
        state,
        "-c",
        workspace,
        TASK,
        cwd=workspace,
        home=tmp_path / "home",
        variables=QUIET,
    )
    said = [event.get("text") for event in events_in(ended.checked()) if event.get("say") == "completion_result"]
    assert said[-1:] == [SUMMARY]
    assert_solved(workspace)
    seen = seen_by_model(running.ollama.chats, describes_tools)
    assert WRONG in seen
    assert "all passed" in seen

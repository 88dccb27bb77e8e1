"""Cline's command line, in both of its kinds, solves a task: it reads, edits, runs and finishes."""

from pathlib import Path

from tests.clients.cline_client import Cline, describes_tools, events_in
from tests.support.ollama_replies import Reply
from tests.support.service import Running
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


async def test_the_sdk_kind_solves_a_task(running: Running, tmp_path: Path) -> None:
    workspace = write_workspace(tmp_path / "project")
    file = str(workspace / "calc.py")
    steps = [
        Reply.tool_calls(("read_files", {"files": [{"path": file}]}), text=("I read it.",)),
        Reply.tool_calls(("editor", {"path": file, "old_text": WRONG, "new_text": RIGHT})),
        Reply.tool_calls(("run_commands", {"commands": [COMMAND]})),
        Reply.text(SUMMARY),
    ]
    running.ollama.default(plays(steps, belongs=offers_tools))
    ended = await Cline(running, tmp_path, workspace).sdk(TASK)
    result = next(event for event in reversed(events_in(ended.checked())) if event["type"] == "run_result")
    assert (result["finishReason"], result["text"]) == ("completed", SUMMARY)
    assert_solved(workspace)
    seen = seen_by_model(running.ollama.chats, offers_tools)
    assert REMEMBERED in seen
    assert WRONG in seen
    assert "all passed" in seen


async def test_the_legacy_kind_solves_a_task(running: Running, tmp_path: Path) -> None:
    workspace = write_workspace(tmp_path / "project")
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
    ended = await Cline(running, tmp_path, workspace).legacy(TASK)
    said = [event.get("text") for event in events_in(ended.checked()) if event.get("say") == "completion_result"]
    assert said[-1:] == [SUMMARY]
    assert_solved(workspace)
    seen = seen_by_model(running.ollama.chats, describes_tools)
    assert REMEMBERED in seen
    assert WRONG in seen
    assert "all passed" in seen

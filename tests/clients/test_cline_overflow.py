"""Cline outgrows the window: it is refused in the form after which it shortens its own history, and goes on."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from structlog.testing import capture_logs

from tests.clients.cline_client import Cline, describes_tools, events_in
from tests.clients.running_client import Ended
from tests.support.ollama_replies import JsonObject, Reply
from tests.support.scripted_ollama import REFERENCE_MODELS, Model, ScriptedOllama
from tests.support.service import running_service
from tests.support.task_script import offers_tools, seen_by_model

TASK, SUMMARY = "Read all notes.", "All notes are read."
NOTES = [f"notes_{number}.txt" for number in range(4)]
LINES = 140  # some 3,000 tokens a file
# Room for what Cline sends before it has read anything, and for two or three of the files.
LEGACY_WINDOW, SDK_WINDOW = 20_000, 11_500


def write_notes(folder: Path) -> Path:
    folder.mkdir()
    for name in NOTES:
        text = "\n".join(f"{name}, line {line}: the pump waits for the tank" for line in range(LINES))
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def in_turn(steps: Sequence[Reply], belongs: Callable[[JsonObject], bool]) -> Callable[[JsonObject], Reply]:
    """One step for each chat of the task that reaches the model; what is refused does not."""
    left = iter(steps)
    return lambda chat: next(left) if belongs(chat) else Reply.text("Reading notes")


async def overflowing(
    tmp_path: Path,
    window: int,
    steps: Sequence[Reply],
    belongs: Callable[[JsonObject], bool],
    client: Callable[[Cline, str], Awaitable[Ended]],
) -> Ended:
    """Let Cline do the task in windows too small for it; what it was refused and what reached a model is looked at."""
    workspace = write_notes(tmp_path / "project")
    models = [Model(model.name, window) for model in REFERENCE_MODELS]
    async with ScriptedOllama(models) as ollama, running_service(ollama, tmp_path) as running:
        ollama.default(in_turn(steps, belongs))
        with capture_logs() as lines:
            ended = await client(Cline(running, tmp_path, workspace), TASK)
    outcomes = [line["outcome"] for line in lines if line["event"] == "request"]
    assert "context_length_exceeded" in outcomes
    assert outcomes[-1] == "ok"
    seen = seen_by_model(ollama.chats, belongs)
    assert f"{NOTES[-1]}, line {LINES - 1}:" in seen
    assert f"{NOTES[0]}, line 0:" not in seen
    return ended


async def test_the_legacy_kind_truncates_and_goes_on(tmp_path: Path) -> None:
    steps = [Reply.text(f"I read it.\n<read_file>\n<path>{name}</path>\n</read_file>") for name in NOTES]
    steps.append(Reply.text(f"<attempt_completion>\n<result>{SUMMARY}</result>\n</attempt_completion>"))
    ended = await overflowing(tmp_path, LEGACY_WINDOW, steps, describes_tools, Cline.legacy)
    said = [event.get("text") for event in events_in(ended.checked()) if event.get("say") == "completion_result"]
    assert said[-1:] == [SUMMARY]


async def test_the_sdk_kind_compacts_and_goes_on(tmp_path: Path) -> None:
    files = [str(tmp_path / "project" / name) for name in NOTES]
    steps = [Reply.tool_calls(("read_files", {"files": [{"path": file}]}), text=("I read it.",)) for file in files]
    steps.append(Reply.text(SUMMARY))
    ended = await overflowing(tmp_path, SDK_WINDOW, steps, offers_tools, Cline.sdk)
    result = next(event for event in reversed(events_in(ended.checked())) if event["type"] == "run_result")
    assert (result["finishReason"], result["text"]) == ("completed", SUMMARY)

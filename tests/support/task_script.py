"""A small task for a coding agent, as a workspace and as the answers of a model that solves it, for any agent."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.ollama_replies import JsonObject, Reply

TASK = "add in calc.py subtracts: fix it, then run check.py."
WRONG, RIGHT = "return a - b", "return a + b"
COMMAND = f"{sys.executable} check.py"
SUMMARY = "add now adds, and check.py passes."
REMEMBERED = "The sums of this shop are checked by check.py."
_FILES = {
    "memory-bank/activeContext.md": f"# Active context\n\n{REMEMBERED}\n",
    "memory-bank/projectbrief.md": "# Brief\n\nA shop.\n",
    "calc.py": f"def add(a, b):\n    {WRONG}\n",
    "check.py": "from pathlib import Path\n\nfrom calc import add\n\nassert add(2, 3) == 5\n"
    "Path('checked.txt').write_text('passed', encoding='utf-8')\nprint('all', 'passed')\n",
}


def write_workspace(folder: Path) -> Path:
    """The project with its fault, and what its memory bank knows."""
    (folder / "memory-bank").mkdir(parents=True)
    for name, text in _FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def offers_tools(chat: JsonObject) -> bool:
    """Whether a chat belongs to the task, for agents that offer their tools by Ollama's field."""
    return bool(chat.get("tools"))


def assert_solved(workspace: Path) -> None:
    """Whether the file was edited, and the command run after that."""
    assert (workspace / "calc.py").read_text(encoding="utf-8") == _FILES["calc.py"].replace(WRONG, RIGHT)
    assert (workspace / "checked.txt").read_text(encoding="utf-8") == "passed"


def plays(steps: Sequence[Reply], *, belongs: Callable[[JsonObject], bool]) -> Callable[[JsonObject], Reply]:
    """A reply to each chat of the task, by how often the model has spoken in it; others (a title) get a word."""

    def reply(chat: JsonObject) -> Reply:
        if not belongs(chat):
            return Reply.text("Fixing add")
        spoken = len([message for message in chat["messages"] if message["role"] == "assistant"])
        return steps[min(spoken, len(steps) - 1)]

    return reply


def seen_by_model(chats: Sequence[JsonObject], belongs: Callable[[JsonObject], bool]) -> str:
    """All that the last chat of the task says, which holds what every tool gave back."""
    last = [chat for chat in chats if belongs(chat)][-1]
    return "\n".join(str(message.get("content")) for message in last["messages"])

"""What Cline, in both of its dialects, and other agents write around a person's words: those, the mode, the folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage, ToolMessage

from chains.instructions import REMINDER_CLOSES, REMINDER_OPENS
from chains.marks import without_marks
from chains.turn import replace_in_texts
from config.schema import Mode
from wire.errands import is_errand

Dialect = Literal["cline_sdk", "cline_legacy", "plain"]

_COMPACTION = "Summarize the provided coding session"
_SUMMARY = "Context summary:"
_RULES = re.compile(r"^# Rules\s*\n## \.", re.MULTILINE)
_MODE_NOTICE = re.compile(r"\A\s*<mode_notice>.*?</mode_notice>\s*", re.DOTALL)
# Every pattern here runs over whole prompts: none may try more than once a character (no `\s*` beside `.*?`).
_USER_INPUT_OPENS = re.compile(r'<user_input(?: mode="[^"]*")?>')
_USER_INPUT_CLOSES = "</user_input>"
_PERSON_TAG_OPENS = re.compile(r"<(task|feedback|user_message|answer)>")
_TOOL_RESULT = re.compile(r"\A\s*\[([a-zA-Z_]+)(?: for .*?)?\] Result:\s*(The user denied this operation)?", re.DOTALL)
_TOOLS_A_PERSON_ANSWERS = {
    "attempt_completion",
    "plan_mode_respond",
    "ask_followup_question",
    "act_mode_respond",
}
_LEGACY_MODE = re.compile(r"# Current Mode\s+(PLAN|ACT) MODE")
_SDK_FOLDER = re.compile(r"^[ \t]*\d{1,3}\.[ \t]*Working Directory:(.*)$", re.MULTILINE)
# opencode's and older Claude Code's, and Claude Code's of now.
_ENVIRONMENTS = (("<env>", "</env>"), ("\n# Environment\n", "\n# "))
_ENVIRONMENT_FOLDER = re.compile(r"^[ \t]*(?:- Primary w|W)orking directory:(.*)$", re.MULTILINE)
# Codex tells its folder, and what AGENTS.md says, in a message of the user's.
_CODEX_OPENS = ("# AGENTS.md instructions", "<environment_context>", "<turn_aborted>")
_CODEX_CLOSES = ("</INSTRUCTIONS>", "</environment_context>", "</turn_aborted>")
_CODEX_FOLDER = re.compile(r"<cwd>([^<]+)</cwd>")
# Among its rules first: where CI is set, what it says of the system is made up.
_LEGACY_FOLDER = re.compile(r"^(?:- Your current working directory is|Current Working Directory):(.*)$", re.MULTILINE)
_LEGACY_FILES = re.compile(r"^# Current Working Directory \((.+?)\) Files", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Understood:
    """What a request's texts say beside the conversation itself."""

    dialect: Dialect
    person_text: str
    person_index: int | None
    from_machine: bool
    mode: Mode
    workspace: str | None
    is_task: bool
    previous_text: str = ""


def understand(messages: Sequence[BaseMessage], tool_names: Sequence[str]) -> Understood:
    """Read the person's latest words, the mode and the working directory. Pure; never fails on odd texts."""
    system = "\n".join(message.text for message in messages if isinstance(message, SystemMessage))
    dialect = _dialect(system, messages)
    if system.lstrip().startswith(_COMPACTION):
        return Understood("cline_sdk", "", None, from_machine=True, mode="none", workspace=None, is_task=False)
    index, text, previous = _latest_words(messages, dialect)
    last = messages[-1] if messages else None
    return Understood(
        dialect=dialect,
        person_text=text,
        person_index=index,
        from_machine=isinstance(last, ToolMessage) or (isinstance(last, HumanMessage) and index != len(messages) - 1),
        mode=_mode(system, messages, tool_names, dialect),
        workspace=_workspace(system, messages, dialect),
        is_task=not is_errand(system, messages, has_tools=bool(tool_names)),
        previous_text=previous,
    )


def without_marks_of_person(message: BaseMessage, dialect: Dialect) -> BaseMessage:
    """The message without `@fast` and the like in a person's words; whatever else stands in it is left alone."""
    if not isinstance(message, HumanMessage) or "@" not in message.text:
        return message

    def cleaned(text: str) -> str:
        words = _words(text, dialect)
        if not words:
            return text
        if not _has_tags(text, dialect):
            return text.replace(words, without_marks(words), 1)
        kept: list[str] = []
        position = 0
        for start, end in _tagged(text):
            kept += [text[position:start], without_marks(text[start:end])]
            position = end
        return "".join([*kept, text[position:]])

    return replace_in_texts(message, cleaned)


def _has_tags(text: str, dialect: Dialect) -> bool:
    return dialect == "cline_legacy" and _PERSON_TAG_OPENS.search(text) is not None


def _dialect(system: str, messages: Sequence[BaseMessage]) -> Dialect:
    human = (message.text for message in messages if isinstance(message, HumanMessage))
    if any("<environment_details>" in text or "<task>" in text for text in human) and "# Tool" in system:
        return "cline_legacy"
    if _LEGACY_FOLDER.search(system) and "<read_file>" in system:
        return "cline_legacy"
    if ("<env>" in system and _SDK_FOLDER.search(system)) or _RULES.search(system):
        return "cline_sdk"
    return "plain"


def _latest_words(messages: Sequence[BaseMessage], dialect: Dialect) -> tuple[int | None, str, str]:
    """Index and words of the latest message of the person's, and the words of the one before."""
    found: list[tuple[int, str]] = []
    for index in reversed(range(len(messages))):
        message = messages[index]
        if isinstance(message, HumanMessage) and (words := _words(message.text, dialect)):
            found.append((index, words))
            if len(found) > 1:
                break
    if not found:
        return None, "", ""
    return *found[0], found[1][1] if len(found) > 1 else ""


def _words(text: str, dialect: Dialect) -> str:
    if dialect == "cline_legacy":
        result = _TOOL_RESULT.match(text)
        if result and result.group(1) not in _TOOLS_A_PERSON_ANSWERS and not result.group(2):
            return ""
        tagged = [text[start:end] for start, end in _tagged(text)]
        if tagged or result or "<environment_details>" in text:
            return "\n".join(words for words in tagged if words)
        return text.strip()
    if text.lstrip().startswith(_SUMMARY) or _is_of_codex(text):
        return ""
    text = _MODE_NOTICE.sub("", _without_reminders(text)).strip()
    opens = _USER_INPUT_OPENS.match(text)
    if opens and text.endswith(_USER_INPUT_CLOSES):
        text = text[opens.end() : -len(_USER_INPUT_CLOSES)]
    return text.strip()


def _is_of_codex(text: str) -> bool:
    return text.startswith(_CODEX_OPENS) and text.endswith(_CODEX_CLOSES)


def _without_reminders(text: str) -> str:
    """The text without what Claude Code and opencode put beside a person's words for the model."""
    kept: list[str] = []
    position = 0
    while (start := text.find(REMINDER_OPENS, position)) >= 0 and (end := text.find(REMINDER_CLOSES, start)) >= 0:
        kept.append(text[position:start])
        position = end + len(REMINDER_CLOSES)
    return "".join([*kept, text[position:]])


def _tagged(text: str) -> list[tuple[int, int]]:
    """Where words stand in the person's tags, without the blanks around; a tag that is not closed is passed over."""
    found: list[tuple[int, int]] = []
    unclosed: set[str] = set()
    position = 0
    while opens := _PERSON_TAG_OPENS.search(text, position):
        name, position = opens.group(1), opens.end()
        end = -1 if name in unclosed else text.find(f"</{name}>", position)
        if end < 0:
            unclosed.add(name)
            continue
        words = text[position:end].lstrip()
        found.append((end - len(words), end - len(words) + len(words.rstrip())))
        position = end
    return found


def _mode(system: str, messages: Sequence[BaseMessage], tool_names: Sequence[str], dialect: Dialect) -> Mode:
    if dialect == "cline_legacy":
        modes = [match for message in messages for match in _LEGACY_MODE.findall(message.text)]
        return "plan" if modes and modes[-1] == "PLAN" else "act"
    if dialect == "cline_sdk" and _SDK_FOLDER.search(system):
        if "# Plan Mode" in system and "You are in Plan mode." in system:
            return "plan"
        return "yolo" if "submit_and_exit" in tool_names else "act"
    return "none"


def _workspace(system: str, messages: Sequence[BaseMessage], dialect: Dialect) -> str | None:
    if dialect == "plain":
        return _folder_of_environment(system) or _folder_of_codex(messages)
    if match := _SDK_FOLDER.search(system) or _LEGACY_FOLDER.search(system):
        return match.group(1).strip() or None
    for message in messages:
        if isinstance(message, HumanMessage) and (match := _LEGACY_FILES.search(message.text)):
            return match.group(1)
    return None


def _folder_of_environment(system: str) -> str | None:
    for opens, closes in _ENVIRONMENTS:
        environment = system.partition(opens)[2].partition(closes)[0]
        if match := _ENVIRONMENT_FOLDER.search(environment):
            return match.group(1).strip() or None
    return None


def _folder_of_codex(messages: Sequence[BaseMessage]) -> str | None:
    """The one told last, as a person may go on elsewhere."""
    for message in reversed(messages):
        if isinstance(message, HumanMessage) and _is_of_codex(message.text):
            _, opens, environment = message.text.rpartition("<environment_context>")
            if opens and (match := _CODEX_FOLDER.search(environment)):
                return match.group(1).strip() or None
    return None

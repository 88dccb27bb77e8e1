"""What the client sent already is found in all the shapes it comes in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage, ToolMessage

from chains.already_sent import AlreadySent
from chains.compose import memory_block
from tests.chains.chain_support import Note

PROGRESS = '# Progress\n\nThe pump waits for the tank.\n\n## Next\n\nA frost warning by "Friday".\n'
NOTE = Note("memory-bank/progress.md", PROGRESS)
NUMBERED = "\n".join(f"{number} | {line}" for number, line in enumerate(PROGRESS.splitlines(), start=1))


def as_sdk(result: str) -> str:
    return json.dumps([{"query": "/home/sam/memory-bank/progress.md", "result": result, "success": True}])


@pytest.mark.parametrize(
    "message",
    [
        ToolMessage(as_sdk(NUMBERED), tool_call_id="1"),
        ToolMessage(as_sdk(PROGRESS.replace("\n", "\r\n")), tool_call_id="1"),
        ToolMessage(PROGRESS, tool_call_id="1"),
        HumanMessage(f"[read_file for 'memory-bank/progress.md'] Result:\n{NUMBERED}\n\n(File has 7 lines total.)"),
        HumanMessage([{"type": "text", "text": f'<file_content path="progress.md">\n{PROGRESS}</file_content>'}]),
        SystemMessage(f"# Rules\n## .clinerules/memory-bank/progress.md\n{PROGRESS}"),
    ],
    ids=["sdk", "sdk with CRLF", "plain tool", "legacy", "file_content", "rules"],
)
def test_a_file_that_stands_there_is_found(message: BaseMessage) -> None:
    assert AlreadySent([SystemMessage("s"), message], ()).new_in(NOTE) == ""


def test_an_earlier_block_is_found() -> None:
    assert AlreadySent([HumanMessage("hello")], [memory_block([NOTE])]).new_in(NOTE) == ""


def test_another_text_is_new() -> None:
    assert AlreadySent([HumanMessage(PROGRESS.replace("tank", "valve"))], ()).new_in(
        Note("a.md", "The tank leaks.\n" * 3)
    )
    assert AlreadySent([], ()).new_in(NOTE) == PROGRESS


def test_only_the_section_that_changed_is_new() -> None:
    changed = Note(NOTE.source, PROGRESS.replace("A frost warning", "A heat warning"))
    new = AlreadySent([], [memory_block([NOTE])]).new_in(changed)
    assert new == '…\n## Next\n\nA heat warning by "Friday".\n'


def test_what_was_redacted_does_not_hide_that_it_is_there() -> None:
    theirs = "# Access\n\nThe staging server wants the key sk-live-123456 in every call.\n"
    ours = Note("memory-bank/tech.md", theirs.replace("sk-live-123456", "[redacted: api key]"))
    assert AlreadySent([HumanMessage(theirs)], ()).new_in(ours) == ""


def test_a_few_words_are_found_beside_their_source_only() -> None:
    note = Note("memory-bank/brief.md", "Tide gauges.")
    assert AlreadySent([HumanMessage("Tide gauges. What of them?")], ()).new_in(note) == note.text
    assert AlreadySent([], [memory_block([note])]).new_in(note) == ""


def test_an_excerpt_with_gaps_is_found() -> None:
    note = Note(NOTE.source, 'The pump waits for the tank.\n…\nA frost warning by "Friday".')
    assert AlreadySent([ToolMessage(as_sdk(NUMBERED), tool_call_id="1")], ()).new_in(note) == ""


@given(st.text(max_size=200), st.text(max_size=60))
def test_no_text_makes_it_fail(text: str, other: str) -> None:
    sent = AlreadySent([HumanMessage(text), ToolMessage(other, tool_call_id="1")], [text])
    assert sent.new_in(Note("a.md", other)) in {"", other} or "…" in sent.new_in(Note("a.md", other))

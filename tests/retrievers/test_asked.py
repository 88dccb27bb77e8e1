"""When somebody wants the memory bank itself."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrievers.asked import asks_for_bank


@pytest.mark.parametrize(
    "question",
    [
        "read memory bank",
        "Please re-read the memory-bank and summarise it",
        "read the memory bank and say what the project is",
        "follow your custom instructions",
        "update memory bank",
        "UMB",
        "initialize memory bank",
        "lies die Memory Bank",
        "aktualisiere bitte die memory bank",
        "mets à jour la memory bank",
        "actualiza el memory bank",
        "leia o banco de memória",
        "прочитай memory bank",
        "обнови банк памяти",
        "メモリバンクを読んで",
        "更新记忆库",
        "메모리 뱅크 업데이트해줘",
        "memory bank'i güncelle",
        "przeczytaj memory bank",
        "Can you read the memory bank?",
        "can you update memory bank please",
        "Read the memory bank for this project",
        "Update the memory bank for today's changes",
        "Read memory bank to see where we are",
        "Do read the memory bank first",
        "Should be easy: update memory bank",
        "Is it done? Then update the memory bank.",
        "update the\nmemory bank",
        "When you are done, update the memory bank.",
        "Don't forget to update the memory bank",
        "read memorybank",
        "read all files in memory-bank/",
        "memory bank를 읽어줘",
        "Don't guess. Read the memory bank!",
    ],
)
def test_asked_for(question: str) -> None:
    assert asks_for_bank(question)


@pytest.mark.parametrize(
    "question",
    [
        "",
        "what does the memory bank say about retries",
        "check the memory bank for the port number",
        "what would 'update memory bank' do?",
        "add a memory bank screen to the emulator",
        "fix the crash in the bank transfer form",
        "read the config and tell me the port",
        "which memory bank does the linker put .data into?",
        "update the memory bank parser so that CRLF works",
        "Fix the bug: refresh() crashes when the memory bank is missing",
        "create a unit test for memory bank discovery",
        "open the file src/memory_bank/index.py and fix line 3",
        "check that the MemoryBankReader class closes its files",
        "Implement a REST endpoint to update MemoryBank rows in Postgres",
        "don't read the memory bank",
        "Please do not update the memory bank.",
        "lies die Memory Bank nicht",
        "не читай, и не обнови банк памяти",
        "fix memory_bank.py so that it can read links",
        "check whether the memory bank is found",
        "Read the config. The memory bank is missing there.",
        "Do we update the memory bank by hand?",
        "Should memory banks be read first?",
        "When does it update the memory bank?",
    ],
)
def test_not_asked_for(question: str) -> None:
    assert not asks_for_bank(question)


@given(st.text(max_size=5_000))
def test_any_text_may_be_asked(question: str) -> None:
    assert asks_for_bank(question) in {True, False}


@pytest.mark.parametrize("part", ["read ", "memory bank ", "don't ", "memory", "check memory bank ", "\n", "do "])
def test_long_questions_take_no_longer(part: str) -> None:
    started = time.thread_time()
    asks_for_bank(part * 100_000)
    assert time.thread_time() - started < 3

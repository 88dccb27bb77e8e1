"""When somebody wants the memory bank itself."""

from __future__ import annotations

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
    ],
)
def test_not_asked_for(question: str) -> None:
    assert not asks_for_bank(question)


@given(st.text(max_size=5_000))
def test_any_text_may_be_asked(question: str) -> None:
    assert asks_for_bank(question) in {True, False}

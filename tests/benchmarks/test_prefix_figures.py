"""What the prefix benchmark makes of what it reads; the reading itself takes minutes and is not done here."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks.prefix import added_tokens, figures
from benchmarks.prefix_sessions import EDITS, captured, generated, write_bank
from benchmarks.prefix_ways import Read
from tests.support.requests import SHARED, skip_reason
from wire.openai_request import ChatRequest
from wire.parse import parse_turn


def read(prompt: int, cached: int, ttft_s: float = 1.0) -> Read:
    return Read(prompt, cached, ttft_s)


def test_figures_add_up_by_turn() -> None:
    told = figures([[read(100, 0, 3), read(150, 100, 1)], [read(80, 0, 2)]])
    assert told == {"new_tokens": 230, "new_tokens_by_turn": [180, 50], "cached_share": 0.303, "ttft_s_p50": 2}


def test_memory_counts_once_however_often_it_is_sent() -> None:
    bare = [[read(100, 0), read(150, 0), read(200, 0)]]
    assert added_tokens([[read(130, 0), read(180, 0), read(240, 0)]], bare) == 40
    assert added_tokens(bare, bare) == 0


@pytest.mark.parametrize("legacy", [False, True])
def test_generated_sessions_grow_message_by_message(legacy: bool) -> None:
    session = generated(12, seed=3, legacy=legacy)
    assert session == generated(12, seed=3, legacy=legacy)
    assert len(session.requests) == 12
    assert len(session.edits) == len(EDITS)
    histories: list[list[Any]] = [body["messages"] for body in session.requests]
    for number, (earlier, later) in enumerate(pairwise(histories)):
        assert later[: len(earlier)] == earlier, number
    turns = [parse_turn(ChatRequest.model_validate(body), {}) for body in session.requests]
    assert {turn.dialect for turn in turns} == {"cline_legacy" if legacy else "cline_sdk"}
    assert {turn.turn.from_machine for turn in turns} == {True, False}
    assert all(turn.turn.workspace for turn in turns)


def test_the_bank_is_one_that_is_found(tmp_path: Path) -> None:
    write_bank(tmp_path)
    assert len(list((tmp_path / "memory-bank").iterdir())) == 5


@pytest.mark.skipif(skip_reason() is not None, reason=skip_reason() or "")
def test_captured_sessions_are_one_conversation_each() -> None:
    for session in captured(SHARED, 3):
        assert len(session.requests) > 1
        assert (
            session.requests[0]["messages"] == session.requests[1]["messages"][: len(session.requests[0]["messages"])]
        )

"""How likely a bank answers: vectors count by how far they stand out, and only where they mean something."""

from __future__ import annotations

import pytest

from retrievers.embeddings import MODEL_NAME
from retrievers.evidence import UNREAD, VectorEvidence, answerability, trust_in
from retrievers.packing import DOUBTFUL, LIKELY
from retrievers.roles import ROLES


def vectors(*similarities: float, role: float = 0.0, trust: float = 1.0) -> VectorEvidence:
    return VectorEvidence({}, {"p": similarities}, dict.fromkeys(ROLES, role), trust)


def test_near_lines_stand_out_from_a_bank_about_something_else() -> None:
    assert answerability(0.3, vectors(0.6, 0.1, 0.1)) >= LIKELY
    assert answerability(0.1, vectors(0.6, 0.55, 0.55)) < DOUBTFUL


def test_half_of_the_words_tell_more_than_none() -> None:
    assert answerability(0.5, vectors(0.4, 0.1)) > answerability(0.0, vectors(0.4, 0.1))
    assert answerability(0.0, None) < DOUBTFUL
    assert answerability(0.6, None) >= LIKELY


def test_vectors_that_mean_nothing_leave_it_to_words() -> None:
    assert answerability(0.0, vectors(0.9, 0.1, trust=UNREAD)) < LIKELY
    assert answerability(0.5, vectors(0.7, 0.7, trust=UNREAD)) >= LIKELY


def test_a_question_for_what_a_file_is_for_needs_no_near_line() -> None:
    assert answerability(0.0, vectors(0.2, 0.1, role=0.7)) >= LIKELY


def test_without_lines_words_tell() -> None:
    nothing = VectorEvidence({}, {}, {})
    assert answerability(0.3, nothing) == answerability(0.3, None)


@pytest.mark.parametrize("question", ["why the importer?", "Größe?", "¿dónde?", "123?", ""])
def test_the_packaged_model_reads_latin(question: str) -> None:
    assert trust_in(MODEL_NAME, question) == 1


@pytest.mark.parametrize("question", ["почему?", "为什么？", "なぜですか"])
def test_the_packaged_model_reads_no_other_script(question: str) -> None:
    assert trust_in(MODEL_NAME, question) == UNREAD
    assert UNREAD < trust_in(MODEL_NAME, f"{question} main.py") < 1
    assert trust_in("bge-m3", question) == 1

"""docs/http.md says of each field that OpenAI documents what becomes of it; the code and the SDK hold it to that."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsBase

from config.errors import BadRequest
from wire.openai_request import MAX_STOP_CHARS, MAX_STOPS, REFUSED, ChatRequest
from wire.validate import parse_chat_request

GUIDE = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (honoured|refused|advisory) \|", GUIDE, re.MULTILINE)
GOOD: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


def fields(kind: str) -> set[str]:
    return {field for field, said in ROWS if said == kind}


def test_every_field_of_the_sdk_is_told_of_once() -> None:
    documented = {*CompletionCreateParamsBase.__annotations__, "stream"}
    assert {field for field, _ in ROWS} == documented
    assert len(ROWS) == len(documented)


def test_the_guide_says_what_the_code_does() -> None:
    assert fields("honoured") == set(ChatRequest.model_fields)
    assert fields("refused") == set(REFUSED)
    assert f"at most {MAX_STOPS} texts of at most {MAX_STOP_CHARS} characters" in GUIDE


@pytest.mark.parametrize("field", sorted(fields("refused")))
def test_what_is_refused_is_named(field: str) -> None:
    with pytest.raises(BadRequest, match=f"^{field} is not supported") as refused:
        parse_chat_request({**GOOD, field: {"any": "thing"}})
    assert refused.value.param == field
    harmless, _ = REFUSED[field]
    for value in (None, *harmless):
        assert parse_chat_request({**GOOD, field: value}).model == "m"


@pytest.mark.parametrize("field", sorted(fields("advisory")))
@pytest.mark.parametrize("value", ["x", True, {"mode": "explicit"}, None])
def test_what_is_advisory_is_taken(field: str, value: Any) -> None:
    assert parse_chat_request({**GOOD, field: value}) == parse_chat_request(GOOD)

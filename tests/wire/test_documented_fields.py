"""docs/http.md says of each field that the APIs document what becomes of it; the code and the SDKs hold it to that.

A field that a newer SDK has fails these tests until it is decided about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from anthropic.types.beta.message_create_params import MessageCreateParamsStreaming as BetaMessageParams
from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from openai.types.embedding_create_params import EmbeddingCreateParams
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import BaseModel

from config.errors import BadRequest
from wire import messages_request, openai_request, responses_request
from wire.embeddings import EmbeddingsRequest
from wire.messages_request import MessagesRequest
from wire.openai_request import MAX_STOP_CHARS, MAX_STOPS, ChatRequest
from wire.refused import Refused
from wire.responses_request import ResponsesRequest
from wire.validate import validated

GUIDE = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
SAID = [{"role": "user", "content": "x"}]


@dataclass(frozen=True)
class Api:
    """What its SDK documents, what we take, and a good body; `beside` are fields that no SDK has now."""

    path: str
    sdk: tuple[Any, ...]
    request: type[BaseModel]
    refusals: Refused
    good: Mapping[str, Any]
    beside: frozenset[str] = frozenset()

    def rows(self) -> list[tuple[str, str]]:
        section = GUIDE.split(f"\n## `POST {self.path}`", 1)[1].partition("\n## ")[0]
        return re.findall(r"^\| `(\w+)` \| (honoured|refused|advisory) \|", section, re.MULTILINE)

    def fields(self, kind: str) -> set[str]:
        return {field for field, said in self.rows() if said == kind}


CHAT = Api(
    "/v1/chat/completions",
    (CompletionCreateParamsStreaming,),
    ChatRequest,
    openai_request.REFUSED,
    {"model": "m", "messages": SAID},
    frozenset({"top_k"}),
)
RESPONSES = Api(
    "/v1/responses",
    (ResponseCreateParamsStreaming,),
    ResponsesRequest,
    responses_request.REFUSED,
    {"model": "m", "input": "x"},
)
MESSAGES = Api(
    "/v1/messages",
    (MessageCreateParamsStreaming, BetaMessageParams, MessageCountTokensParams),
    MessagesRequest,
    messages_request.REFUSED,
    {"model": "m", "messages": SAID, "max_tokens": 9},
    frozenset({"output_format", "temperature", "top_k", "top_p"}),
)
EMBEDDINGS = Api(
    "/v1/embeddings",
    (EmbeddingCreateParams,),
    EmbeddingsRequest,
    {},
    {"model": "m", "input": "x"},
)
APIS = [CHAT, RESPONSES, MESSAGES, EMBEDDINGS]


def cases(kind: str) -> list[Any]:
    return [pytest.param(api, field, id=f"{api.path}-{field}") for api in APIS for field in sorted(api.fields(kind))]


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.path)
def test_every_field_of_the_sdk_is_told_of_once(api: Api) -> None:
    documented = api.beside.union(*(params.__annotations__ for params in api.sdk))
    told = [field for field, _ in api.rows()]
    assert set(told) == documented
    assert len(told) == len(documented)


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.path)
def test_the_guide_says_what_the_code_does(api: Api) -> None:
    assert api.fields("honoured") == set(api.request.model_fields)
    assert api.fields("refused") == set(api.refusals)


def test_the_limits_of_stop_texts_are_told() -> None:
    assert f"at most {MAX_STOPS} texts of at most {MAX_STOP_CHARS} characters, as OpenAI" in GUIDE
    assert f"at most {messages_request.MAX_STOPS} texts of at most {messages_request.MAX_STOP_CHARS} chara" in GUIDE


@pytest.mark.parametrize(("api", "field"), cases("refused"))
def test_what_is_refused_is_named(api: Api, field: str) -> None:
    with pytest.raises(BadRequest, match=f"^{field} is not supported") as refused:
        validated(api.request, {**api.good, field: {"any": "thing"}})
    assert refused.value.param == field
    harmless, _ = api.refusals[field]
    for value in (None, *harmless):
        assert validated(api.request, {**api.good, field: value}).model_dump()["model"] == "m"


@pytest.mark.parametrize(("api", "field"), cases("advisory"))
@pytest.mark.parametrize("value", ["x", True, {"mode": "explicit"}, None])
def test_what_is_advisory_is_taken(api: Api, field: str, value: Any) -> None:
    assert validated(api.request, {**api.good, field: value}) == validated(api.request, api.good)

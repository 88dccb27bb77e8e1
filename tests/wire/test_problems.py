"""Whatever is wrong with a request is told in the service's own words, and names a field of the request."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from config.errors import BadRequest
from wire.embeddings import EmbeddingsRequest
from wire.messages_request import MessagesRequest
from wire.openai_request import ChatRequest
from wire.problems import as_bad_request
from wire.responses_request import ResponsesRequest
from wire.validate import validated

SAID = [{"role": "user", "content": "x"}]
GOOD: dict[type[BaseModel], dict[str, Any]] = {
    ChatRequest: {"model": "m", "messages": SAID},
    ResponsesRequest: {"model": "m", "input": "x"},
    MessagesRequest: {"model": "m", "messages": SAID, "max_tokens": 9},
    EmbeddingsRequest: {"model": "m", "input": "x"},
}
FIELDS = [(schema, field) for schema in GOOD for field in schema.model_fields]
PYDANTICS = ("nput should", "ield required", "alid ", "should have", "unable to")
ODD: list[Any] = [None, True, 5, -1, 1e30, 0.5, "", "x", [], [5], ["x"], [[]], [{}], {}, {"type": "x"}, {"a": [1]}]
JSON = st.recursive(
    st.sampled_from(ODD),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["type", "role", "content", "text", "function", "name", "tools"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)


def refusal(schema: type[BaseModel], field: str, value: Any) -> BadRequest | None:
    try:
        validated(schema, {**GOOD[schema], field: value})
    except BadRequest as error:
        return error
    return None


@given(st.sampled_from(FIELDS), JSON)
def test_no_words_of_pydantics_reach_a_client(place: tuple[type[BaseModel], str], value: Any) -> None:
    refused = refusal(*place, value)
    if refused is not None:
        assert not [words for words in PYDANTICS if words in refused.message], refused.message
        assert refused.message.endswith(".")


@pytest.mark.parametrize(("schema", "field"), FIELDS, ids=lambda each: getattr(each, "__name__", each))
def test_a_wrong_value_is_named_by_its_field(schema: type[BaseModel], field: str) -> None:
    refused = [each for value in ODD if (each := refusal(schema, field, value))]
    assert refused
    named = {field, "tools"} if field == "tool_choice" else {field}
    for each in refused:
        assert str(each.param).partition(".")[0].partition("[")[0] in named, each.message


def test_a_place_is_named_without_variants() -> None:
    """LangServe tells of a batch's configuration neither the body nor a place that a client knows."""
    problem = {"type": "dict_type", "loc": ("config", "dict[str,any]"), "msg": "Input should be a valid dictionary"}
    assert as_bad_request(problem).message == "config: must be an object."
    assert as_bad_request({**problem, "loc": ()}, whole="input").message == "input: must be an object."

"""Arguments must fit the tool's own schema; the only coercion is of a text that is JSON of what the schema asks for."""

from __future__ import annotations

import json
import re
import socket
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.tool_arguments import FittingCall, Toolbox, read_json


def fit(arguments: Any, properties: dict[str, Any], **more: Any) -> FittingCall | None:
    parameters = {"type": "object", "properties": properties, **more}
    return Toolbox([{"type": "function", "function": {"name": "f", "parameters": parameters}}]).fit("f", arguments)


NULLABLE = {"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "null"}]}


@pytest.mark.parametrize(
    ("schema", "given", "fitting"),
    [
        ({"type": "integer"}, "5", 5),
        ({"type": "integer"}, "-12", -12),
        ({"type": "number"}, "1.5", 1.5),
        ({"type": "boolean"}, "true", True),
        ({"type": "null"}, "null", None),
        ({"type": "array", "items": {"type": "integer"}}, "[1, 2]", [1, 2]),
        ({"type": "array", "items": {"type": "integer"}}, '["1", 2]', [1, 2]),
        ({"type": "object"}, '{"a": "5"}', {"a": "5"}),
        (NULLABLE, "5", 5),
        (NULLABLE, "null", None),
        ({"enum": [1, 2]}, "2", 2),
        (
            {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
            [{"n": "5"}],
            [{"n": 5}],
        ),
    ],
)
def test_what_is_coerced(schema: dict[str, Any], given: Any, fitting: Any) -> None:
    call = fit({"x": given}, {"x": schema})
    assert call is not None
    assert call.coerced
    assert json.loads(call.arguments) == {"x": fitting}


@pytest.mark.parametrize(
    ("schema", "given"),
    [
        ({"type": "string"}, '{"a": 1}'),
        ({"type": "string"}, "5"),
        ({"type": ["string", "integer"]}, "5"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "5"),
        ({"type": "integer"}, 5.0),
        ({}, "[1]"),
    ],
)
def test_what_fits_already_stays_as_the_model_wrote_it(schema: dict[str, Any], given: Any) -> None:
    call = fit({"x": given}, {"x": schema})
    assert call is not None
    assert not call.coerced
    assert json.loads(call.arguments) == {"x": given}


@pytest.mark.parametrize(
    ("schema", "given"),
    [
        ({"type": "integer"}, "five"),
        ({"type": "integer"}, "5.5"),
        ({"type": "integer"}, "5 lines"),
        ({"type": "integer", "minimum": 10}, "5"),
        ({"type": "boolean"}, "True"),
        ({"type": "boolean"}, 1),
        ({"type": "string"}, 5),
        ({"type": "array"}, "a"),
        ({"enum": ["a"]}, "b"),
        (NULLABLE, 0),
    ],
)
def test_what_does_not_fit(schema: dict[str, Any], given: Any) -> None:
    assert fit({"x": given}, {"x": schema}) is None


def test_arguments_as_json_text_or_none_at_all() -> None:
    assert fit('{"x": 1}', {}) == FittingCall("f", '{"x":1}', coerced=True)
    assert fit("", {}) == fit(None, {}) == FittingCall("f", "{}", coerced=True)
    assert fit({}, {}) == FittingCall("f", "{}")
    assert fit("{}", {}, required=["x"]) is None
    assert fit("[1]", {}) is fit([1], {}) is fit("no", {}) is fit(5, {}) is None


def test_only_offered_tools() -> None:
    assert Toolbox([]).fit("f", {}) is None
    assert Toolbox([{"function": {"name": "f"}}]).fit("g", {}) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no type"},
        {"pattern": "("},
        {"pattern": "\\p{Lu}"},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#/properties/x"},
    ],
)
def test_nothing_fits_a_schema_that_cannot_be_applied_and_nothing_is_fetched(
    schema: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("a schema was looked up"))
    assert fit({"x": "a"}, {"x": schema}) is None


@pytest.mark.parametrize("dialect", [5, {}, [], None])
def test_nothing_fits_a_schema_of_a_dialect_that_is_no_text(dialect: Any) -> None:
    assert fit({"a": 1}, {}, **{"$schema": dialect}) is None


def test_a_dialect_that_nobody_knows_is_read_as_the_newest() -> None:
    assert fit({"a": "1"}, {"a": {"type": "integer"}}, **{"$schema": "http://[x"}) is not None


def test_half_a_character_fits_nowhere() -> None:
    assert fit({"x": "\ud83d"}, {}) is None


def test_integers_of_any_size_keep_their_digits() -> None:
    call = fit({"x": 2**80}, {"x": {"type": "integer"}})
    assert call is not None
    assert json.loads(call.arguments) == {"x": 2**80}


def test_what_was_given_is_not_changed() -> None:
    arguments = {"x": [{"n": "5"}]}
    fit(arguments, {"x": {"items": {"properties": {"n": {"type": "integer"}}}}})
    assert arguments == {"x": [{"n": "5"}]}


def test_json_is_read_leniently_only_in_its_strings_and_behind_a_last_value() -> None:
    assert read_json('{"a": "b\n"}') == {"a": "b\n"}
    assert read_json('{"a": [1, {"b": ",]"},\n],}') == {"a": [1, {"b": ",]"}]}
    assert read_json('{"a": 1 ,}') == read_json('{"a": 1\n , }') == {"a": 1}
    assert read_json('{"a": NaN}') is read_json("[" * 100_000) is read_json("{'a': 1}") is None
    assert (
        read_json("[,]") is read_json("{,}") is read_json("[1,,]") is read_json('{"a":,}') is read_json("[1],") is None
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='a",]}\\\n {'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet='a",]}\\'), inner),
    max_leaves=9,
)


@given(VALUES)
def test_a_comma_behind_a_last_value_changes_nothing(value: Any) -> None:
    written = re.sub(r"(?<=[^\[{])(\n *[\]}])", r",\1", json.dumps(value, indent=1))
    assert read_json(written) == value


def test_a_string_that_does_not_end_is_looked_at_once() -> None:
    """From each of its quotes, it would take minutes."""
    started = time.thread_time()
    assert read_json('{"a": "' + '\\"' * 200_000) is None
    assert time.thread_time() - started < 5

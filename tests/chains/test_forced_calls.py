from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from chains.forced_calls import call_schema, read_calls
from chains.tool_arguments import FittingCall
from chains.turn import ToolChoice
from tests.chains.chain_support import OTHER_TOOL, TOOL

TOOLS = (TOOL, OTHER_TOOL)
ANY = ToolChoice("required")


@pytest.mark.parametrize("kind", ["none", "auto"])
def test_no_schema_where_the_model_need_not_call(kind: str) -> None:
    assert call_schema(TOOLS, ToolChoice(kind)) is None  # type: ignore[arg-type]


def test_the_schema_of_a_named_tool() -> None:
    assert call_schema(TOOLS, ToolChoice("required", "read_file")) == {
        "type": "object",
        "properties": {"name": {"const": "read_file"}, "arguments": TOOL["function"]["parameters"]},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def test_any_tool_may_be_called_where_none_is_named() -> None:
    schema = call_schema(TOOLS, ToolChoice("required"))
    assert schema is not None
    assert [each["properties"]["name"]["const"] for each in schema["anyOf"]] == ["read_file", "list_files"]
    assert schema["anyOf"][1]["properties"]["arguments"] == {"type": "object"}


def test_one_tool_needs_no_choice() -> None:
    assert call_schema((TOOL,), ToolChoice("required")) == call_schema(TOOLS, ToolChoice("required", "read_file"))


def test_a_call_is_read_with_its_arguments_as_json() -> None:
    text = json.dumps({"name": "read_file", "arguments": {"path": "größe.md", "n": 1}})
    (call,) = read_calls(f" {text}\n", TOOLS, ANY)
    assert call.name == "read_file"
    assert json.loads(call.arguments) == {"path": "größe.md", "n": 1}
    assert "größe" in call.arguments


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sure, I will read it.",
        '{"name": "read_file", "arguments": {"path": ',
        '{"name": "read_file"}',
        '{"name": "read_file", "arguments": "{}"}',
        '{"name": "delete_all", "arguments": {}}',
        '{"arguments": {}}',
        "[]",
        "null",
    ],
)
def test_what_is_no_call_of_an_offered_tool(text: str) -> None:
    assert read_calls(text, TOOLS, ANY) == []


def test_another_tool_than_the_named_one_is_no_call() -> None:
    text = json.dumps({"name": "list_files", "arguments": {}})
    assert read_calls(text, TOOLS, ToolChoice("required", "read_file")) == []
    assert read_calls(text, TOOLS, ToolChoice("required", "list_files")) == [FittingCall("list_files", "{}")]


def test_references_within_a_tools_schema_follow_it() -> None:
    """They pointed nowhere once the schema stood under `arguments`, and the call was not bound at all."""
    own = {"$ref": "#/$defs/edit", "$defs": {"edit": {"type": "object", "properties": {"to": {"$ref": "#"}}}}}
    tool = {"type": "function", "function": {"name": "edit", "parameters": own}}

    alone = call_schema((tool,), ANY)
    among_others = call_schema((TOOL, tool), ANY)

    assert alone is not None
    assert alone["properties"]["arguments"]["$ref"] == "#/properties/arguments/$defs/edit"
    assert alone["properties"]["arguments"]["$defs"]["edit"]["properties"]["to"]["$ref"] == "#/properties/arguments"
    assert among_others is not None
    assert among_others["anyOf"][1]["properties"]["arguments"]["$ref"] == "#/anyOf/1/properties/arguments/$defs/edit"
    assert own["$ref"] == "#/$defs/edit"


@pytest.mark.parametrize("value", ["NaN", "Infinity", '"\\ud83d"'])
def test_what_only_python_takes_for_json_is_no_call(value: str) -> None:
    """Half a character ended the stream without its end; NaN reached the client as arguments that are no JSON."""
    assert read_calls(f'{{"name": "read_file", "arguments": {{"path": {value}}}}}', TOOLS, ANY) == []


def test_what_no_grammar_can_bind_to_does_not_lose_the_call() -> None:
    """Ollama binds to types, not to every pattern or bound: the client refuses what it cannot take, and says why."""
    text = json.dumps({"name": "read_file", "arguments": {"path": 5}})
    assert read_calls(text, TOOLS, ANY) == [FittingCall("read_file", '{"path":5}')]


@pytest.mark.parametrize("text", ["Sure:\n{}", "```json\n{}\n```", "<tool_call>{}</tool_call>"])
def test_a_model_that_was_not_bound_may_write_the_call_as_it_does(text: str) -> None:
    call = json.dumps({"name": "read_file", "arguments": {"path": "a"}})
    assert read_calls(text.replace("{}", call), TOOLS, ANY) == [FittingCall("read_file", '{"path":"a"}')]


def test_schemas_as_clients_write_them_stay_valid_within_the_calls_schema() -> None:
    parameters = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://example.com/edit",
        "type": "object",
        "properties": {
            "limit": {"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "null"}]},
            "$id": {"$ref": "#/$defs/text"},
            "$schema": {"type": "string"},
        },
        "required": ["limit", "$id"],
        "additionalProperties": False,
        "$defs": {"text": {"type": "string"}},
    }
    schema = call_schema((TOOL, {"type": "function", "function": {"name": "edit", "parameters": parameters}}), ANY)

    assert schema is not None
    validator = Draft202012Validator(schema)
    validator.check_schema(schema)
    assert validator.is_valid({"name": "edit", "arguments": {"limit": None, "$id": "x", "$schema": "y"}})
    assert not validator.is_valid({"name": "edit", "arguments": {"limit": 0, "$id": "x"}})
    assert not validator.is_valid({"name": "edit", "arguments": {"limit": 1, "$id": 5}})

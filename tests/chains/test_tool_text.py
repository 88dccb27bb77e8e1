"""The forms of docs/tools.md become calls, everything else stays text."""

from __future__ import annotations

import json

import pytest

from chains.tool_arguments import FittingCall
from tests.chains.tool_text_support import ARGUMENTS, CALL, NOW, READ, outcome


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CALL, [READ]),
        (f"\n {CALL}\n\n", [READ]),
        (json.dumps(json.loads(CALL), indent=2), [READ]),
        ('{"arguments": {"path": "a"}, "name": "read_file"}', [READ]),
        ('{"name": "read_file", "parameters": {"path": "a"}}', [READ]),
        ('{"id": "c1", "type": "function", "name": "read_file", "arguments": {"path": "a"}}', [READ]),
        ('{"type": "function", "function": {"name": "read_file", "arguments": {"path": "a"}}}', [READ]),
        ('{"function": "read_file", "arguments": {"path": "a"}}', [READ]),
        (f"{CALL}\n{CALL}", [READ, READ]),
        (f"{CALL}{CALL}; {CALL},\n{CALL}", [READ] * 4),
        (f"[{CALL}, {CALL}]", [READ, READ]),
        (f"```json\n{CALL}\n```", [READ]),
        (f"```JSON\n{CALL}\n```", [READ]),
        (f"```XML\n<tools>{CALL}</tools>\n```", [READ]),
        (f"```tool_call\n{CALL}\n```\n", [READ]),
        (f"```\n{CALL}\n{CALL}\n```", [READ, READ]),
        (f"````json\n[{CALL}]\n````", [READ]),
        (f"```json\n{CALL}", [READ]),
        (f"<tool_call>\n{CALL}\n</tool_call>", [READ]),
        (f"<tool_call>{CALL}</tool_call>\n<tool_call>{CALL}</tool_call>", [READ, READ]),
        (f"<tool_call>\n{CALL}", [READ]),
        (f"{CALL}\n</tool_call>", [READ]),
        (f"<tools>\n{CALL}\n</tools>", [READ]),
        (f"<tool>{CALL}</tool>\n<tool>{CALL}</tool>", [READ, READ]),
        (f"<function_call>{CALL}</function_call>", [READ]),
        (f"<function_call>\n{CALL}", [READ]),
        (f"<toolcall> {CALL} </toolcall>", [READ]),
        (f"<TOOLCALL>[{CALL}, {CALL}]</TOOLCALL>", [READ, READ]),
        (f"```xml\n<tool_call>\n{CALL}\n</tool_call>\n```", [READ]),
        (f"<|python_tag|>{CALL}; {CALL}<|eom_id|>", [READ, READ]),
        (f"[TOOL_CALLS][{CALL}, {CALL}]", [READ, READ]),
        (f"[TOOL_CALLS] {CALL}", [READ]),
        (f"[TOOL_CALLS]read_file{ARGUMENTS}", [READ]),
        (f"[TOOL_CALLS]read_file[ARGS]{ARGUMENTS}[TOOL_CALLS]now[ARGS]{{}}", [READ, NOW]),
        (f"<function=read_file>{ARGUMENTS}</function>", [READ]),
        ("<function=now>\n</function>", [NOW]),
        ("<function=read_file>\n<parameter=path>\na\n</parameter>\n</function>", [READ]),
        (
            "<tool_call>\n<function=read_file>\n<parameter=path>a\n b</parameter>\n</function>\n</tool_call>",
            [FittingCall("read_file", '{"path":"a\\n b"}')],
        ),
        (
            "<function=read_file><parameter=path><b></param></parameter></function>",
            [FittingCall("read_file", '{"path":"<b></param>"}')],
        ),
        (f"```json\n[\n  {CALL[:-2]},\n  }},\n}},\n]\n```", [READ]),
        (f"[TOOL_CALLS]read_file{ARGUMENTS[:-1]},}}", [READ]),
        (
            '{"name": "read_file", "arguments": "{\\"path\\": \\"a\\",}"}',
            [FittingCall("read_file", ARGUMENTS, coerced=True)],
        ),
        (f"I read it first.\n\n{CALL}", ["I read it first.\n\n", READ]),
        (f"I read it: {CALL}", ["I read it: ", READ]),
        (f"Sure: ```json\n{CALL}\n```", ["Sure: ", READ]),
        (f"{CALL}\n\nThis reads the file.", [READ, "\n\nThis reads the file."]),
        (f"one <tool_call>{CALL}</tool_call> two {CALL} three", ["one ", READ, " two ", READ, " three"]),
    ],
)
def test_what_is_a_call(text: str, expected: list[str | FittingCall]) -> None:
    assert outcome(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "{",
        "[",
        "<",
        "``",
        "```",
        CALL[:-1],
        f"<tool_call>{CALL[:-1]}",
        f"```json\n{CALL[:-1]}\n```",
        "<function=read_file>\n<parameter=path>\na\n</parameter>",
        "<function=read_file>\n<parameter=path>\na\n</function>",
        "f(x) { return [1, 2] } // a < b && c > d",
        "see [the docs](https://example.com) and `x < {y}`",
        '{"name": "delete_all", "arguments": {"path": "a"}}',
        '{"name": "read_file"}',
        '{"name": "read_file", "arguments": {"path": 5}}',
        '{"name": "read_file", "arguments": {"path": "a", "why": "so"}}',
        '{"name": "read_file", "arguments": ["a"]}',
        '{"name": "read_file", "description": "Reads.", "parameters": {"path": "a"}}',
        '{"name": "read_file", "arguments": {"path": "a",,}}',
        '{"name": "now", "arguments": {,}}',
        '{"name": "read_file", "arguments": {"path": "a",',
        '{"name": "read_file", "arguments": {"path": "a", "lines": ,}}',
        "{'name': 'read_file', 'arguments': {'path': 'a'}}",
        f'{{"calls": {CALL}}}',
        f'{{"calls": [\n  {CALL}\n]}}',
        f'[{CALL}, {{"name": "delete_all", "arguments": {{}}}}]',
        f"`{CALL}`",
        f"Write ` {CALL} ` for it.",
        f"```python\n{CALL}\n```",
        f"```json5\n{CALL}\n```",
        f"```json\n// how to call it\n{CALL}\n```",
        f'```json\n{CALL}\n{{"name": "delete_all", "arguments": {{}}}}\n```',
        f"````md\n```json\n{CALL}\n```\n````",
        "<tool_call> is how a call begins, </tool_call> how it ends",
        f"<function_call>{CALL[:-1]}</function_call>",
        '<function_call>{"name": "delete_all", "arguments": {}}</function_call>',
        f"```Json\n{CALL}\n```",
        "</tool_call>",
        "[TOOL_CALLS] is Mistral's",
        "[TOOL_CALLS]delete_all[ARGS]{}",
        "<function=delete_all>{}</function>",
        "<read_file>\n<path>a</path>\n</read_file>",
    ],
)
def test_what_stays_text(text: str) -> None:
    assert outcome(text) == ([text] if text else [])


def test_a_call_after_what_only_looked_like_one() -> None:
    assert outcome(f'```json\n{{"a": 1}}\n```\n{CALL}') == ['```json\n{"a": 1}\n```\n', READ]
    assert outcome(f'{{"a": "\\"}}"}}\n{CALL}') == ['{"a": "\\"}"}\n', READ]
    assert outcome(f"{{ no JSON at all\n{CALL}") == ["{ no JSON at all\n", READ]
    assert outcome(f'{{"open\n{CALL}') == ['{"open\n', READ]
    assert outcome(f"an odd ` here\n{CALL}") == ["an odd ` here\n", READ]


def test_names_that_begin_alike() -> None:
    assert outcome('{"name": "read", "arguments": {"name": "x"}}') == [FittingCall("read", '{"name":"x"}')]


def test_a_files_text_arrives_as_it_was_written() -> None:
    fenced = '```\n<tool_call>{"name": "now", "arguments": {}}</tool_call>\n```'
    content = f'[1,], {{"a": "b" ,}} say("hi")\n{fenced}\n\\ \u2028 ü 😀'
    call = json.dumps({"name": "read_file", "arguments": {"path": content}})
    for written in (call, f"{call[:-2]},}},}}"):
        (found,) = outcome(written)
        assert isinstance(found, FittingCall)
        assert json.loads(found.arguments) == {"path": content}


def test_raw_line_breaks_in_a_string_are_taken_as_they_stand() -> None:
    (found,) = outcome('{"name": "read_file", "arguments": {"path": "one\ntwo\tthree"}}')
    assert isinstance(found, FittingCall)
    assert json.loads(found.arguments) == {"path": "one\ntwo\tthree"}

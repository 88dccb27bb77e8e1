"""What is asked: requests as coding agents send them, made of invented text; each is unlike the one before."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import orjson

MODEL = "cline-memory-router"
TOOLS = 25
CLINE_BYTES = 60_000
LONG_BYTES = 400_000
LONG_TURNS = 40
BANK_PASSAGES = 300
NONCE = "0nonce0"
_WORDS = """
the of and to in a is that for it with as on be by this are from at which not but have an they one all were
pump valve sensor reading schedule queue worker retry record table index field module class function method test
request response header token session cache store file folder path line error warning log level config value key
user order payment invoice total price date time zone number string list map tree node edge graph state event
open close read write send receive start stop add remove update check find build run load save parse print return
first last next new old empty full small large slow fast left right before after while until because when where
""".split()  # noqa: SIM905 - a list of so many words reads badly
_QUESTIONS = (
    "Where do the {0} and the {1} meet, and what does {2} have to do with it?",
    "Can you look into why {0} seems odd whenever the {1} has a {2}?",
    "I would like the {0} to say something about its {1}, as the {2} does.",
    "Tell me how {0} came to depend on the {1} of the {2}.",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of request: `opening` is sent once before, so that a tool turn goes on with a known conversation."""

    opening: Mapping[str, Any] | None
    body: Mapping[str, Any]


def prose(draw: random.Random, size: int) -> str:
    """About `size` characters of words in lines."""
    lines: list[str] = []
    while size > 0:
        lines.append(" ".join(draw.choices(_WORDS, k=12)) + ".")
        size -= len(lines[-1]) + 1
    return "\n".join(lines)


def kinds(workspace: Path) -> dict[str, Kind]:
    """The requests by name; those with Cline's prompt work in `workspace`."""
    short = {"messages": [{"role": "user", "content": NONCE}]}
    first = {**_cline(workspace, 45_000 - 4_500), "tools": tools(TOOLS)}
    cline = _with_messages(first, tool_loop(2, (CLINE_BYTES - 45_000) // 2, "a"))
    history = _with_messages(first, tool_loop(LONG_TURNS, (LONG_BYTES - 45_000) // LONG_TURNS, "b"))
    asked = {"role": "user", "content": NONCE}
    return {
        "short": Kind(None, short),
        "person_turn": Kind(None, _with_messages(cline, [asked])),
        "tool_turn": Kind(first, _with_messages(cline, tool_loop(1, 300, NONCE))),
        "history_400k": Kind(first, _with_messages(history, tool_loop(1, 300, NONCE))),
    }


def encoder(kind: Kind, *, model: str, stream: bool, path: str, port: int) -> Callable[[], bytes]:
    """Makes whole HTTP requests, each with a question or a result of its own."""
    body = orjson.dumps({"model": model, **kind.body, "stream": stream})
    parts = body.split(NONCE.encode())
    draw, numbers = random.Random(11), count()  # noqa: S311 - invented words
    is_question = kind.opening is None

    def request() -> bytes:
        filler = _question(draw, next(numbers)) if is_question else f"n{draw.getrandbits(32):08x}"
        return http(filler.encode().join(parts), path=path, port=port)

    return request


def http(body: bytes, *, path: str, port: int) -> bytes:
    """A POST with this body."""
    return (
        b"POST %b HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\naccept: */*\r\n"
        b"authorization: Bearer sk-local\r\ncontent-length: %d\r\n\r\n%b" % (path.encode(), port, len(body), body)
    )


def _question(draw: random.Random, number: int) -> str:
    words = (f"{draw.choice(_WORDS)} {draw.choice(_WORDS)} {number}", draw.choice(_WORDS), draw.choice(_WORDS))
    return draw.choice(_QUESTIONS).format(*words)


def _with_messages(body: Mapping[str, Any], more: list[dict[str, Any]]) -> dict[str, Any]:
    return {**body, "messages": [*body["messages"], *more]}


def _cline(workspace: Path, size: int) -> dict[str, Any]:
    """The opening request of Cline's SDK dialect, `size` bytes with a file that the person pasted."""
    system = (
        "You are Cline, an AI coding agent. Help with the code of this project, use the tools and check what you wrote."
        f"\n\nWhere you run:\n<env>\n1. Platform: linux\n2. Date: 3/14/2026\n3. IDE: Terminal Shell\n"
        f"4. Working Directory: {workspace}\n</env>\n\n{prose(random.Random(1), 4_000)}"  # noqa: S311
    )
    tools_bytes = len(orjson.dumps(tools(TOOLS)))
    pasted = prose(random.Random(2), size - tools_bytes)  # noqa: S311
    asked = f"Please change how the pump's schedule is read, so that this works:\n```\n{pasted}\n```"
    return {"messages": [{"role": "system", "content": system}, {"role": "user", "content": asked}]}


def tool_loop(turns: int, size: int, name: str) -> list[dict[str, Any]]:
    """`turns` calls of a tool with results of `size` characters each."""
    messages: list[dict[str, Any]] = []
    for turn in range(turns):
        call = {"name": "read_files", "arguments": f'{{"files":[{{"path":"/src/part_{turn}.py","start_line":1}}]}}'}
        identity = f"call_{name}_{turn}"
        messages += [
            {
                "role": "assistant",
                "content": f"Let me look at part {turn}.",
                "tool_calls": [{"id": identity, "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": identity, "content": f"{name} {prose(random.Random(turn), size - 200)}"},  # noqa: S311
        ]
    return messages


def tools(number: int) -> list[dict[str, Any]]:
    """So many tools, with schemas as Cline's are."""
    text = {"type": "string", "description": "Absolute path of a file of this project, with its ending"}
    line = {
        "description": "Line to begin with, counted from 1; null for the top of the file",
        "anyOf": [{"type": "integer", "exclusiveMinimum": 0, "maximum": 9_007_199_254_740_991}, {"type": "null"}],
    }
    schema = {
        "type": "object",
        "properties": {"path": text, "start_line": line, "end_line": line, "note": text},
        "required": ["path"],
        "additionalProperties": False,
    }
    return [
        {
            "type": "function",
            "function": {
                "name": "read_files" if index == 0 else f"tool_{index}",
                "description": "Does one thing to a file of the project and tells what came of it, line by line.",
                "parameters": {"$schema": "http://json-schema.org/draft-07/schema#", **schema},
            },
        }
        for index in range(number)
    ]


def write_bank(workspace: Path, passages: int) -> None:
    """A memory bank of about so many passages of prose."""
    bank = workspace / "memory-bank"
    bank.mkdir(parents=True)
    names = ["projectbrief", "activeContext", *(f"notes-{number}" for number in range(passages // 60 + 1))]
    draw = random.Random(3)  # noqa: S311 - invented words
    for number, name in enumerate(names):
        sections = [f"## Part {part}\n\n{prose(draw, 900)}\n" for part in range(number, passages, len(names))]
        (bank / f"{name}.md").write_text(f"# {name}\n\n" + "\n".join(sections), encoding="utf-8")

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

import chains
from backends.json_bytes import json_bytes
from chains.counting import (
    ENCODING,
    PIECE_CHARS,
    TOKENS_PER_IMAGE,
    TOKENS_PER_MESSAGE,
    count_json,
    count_message,
    count_text,
    warm_up,
)
from tests.chains.chain_support import IMAGE

ROOT = Path(chains.__file__).parents[1]
CL100K_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
OFFLINE = """
import socket
def refuse(*_): raise SystemExit("the network was used")
socket.socket.connect = socket.socket.connect_ex = refuse
from chains.counting import count_text
print(count_text("hello world"))
"""


def test_known_counts() -> None:
    assert [count_text(text) for text in ("", "hello world", "tiktoken is great!")] == [0, 2, 6]


def test_special_tokens_in_a_text_are_text() -> None:
    assert count_text("<|endoftext|>") > 1


def test_the_encoding_is_the_published_one_by_its_hash() -> None:
    data = files("tiktoken_ext").joinpath("data/cl100k_base.tiktoken").read_bytes()
    assert hashlib.sha256(data).hexdigest() == CL100K_SHA256
    assert tiktoken.get_encoding(ENCODING).n_vocab == 100_277


def test_the_encoding_needs_no_network(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.defpath, "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    for name in ("SYSTEMROOT", "TEMP"):
        if name in os.environ:
            environment[name] = os.environ[name]
    said = subprocess.check_output([sys.executable, "-B", "-c", OFFLINE], env=environment, cwd=tmp_path, text=True)
    assert said == "2\n"


def test_warming_up_twice_is_harmless() -> None:
    warm_up()
    warm_up()


def test_a_long_text_is_counted_in_pieces_without_much_loss() -> None:
    line = "def parse(text: str) -> list[str]:\n"
    text = line * (3 * PIECE_CHARS // len(line))
    exact = len(tiktoken.get_encoding(ENCODING).encode_ordinary(text))
    assert 0 <= count_text(text) - exact <= 4


def test_a_megabyte_of_one_character_is_counted() -> None:
    assert count_text("a" * 1_000_000) > 100_000


@given(st.text(st.characters(), max_size=200))
def test_any_text_can_be_counted(text: str) -> None:
    """Half surrogates too: JSON may hold them."""
    assert 0 <= count_text(text) <= 4 * len(text)
    assert count_message(HumanMessage(text)) == TOKENS_PER_MESSAGE + count_text(text)


def test_messages_count_their_parts() -> None:
    assert count_message(SystemMessage("hello world")) == TOKENS_PER_MESSAGE + 2
    split = HumanMessage([{"type": "text", "text": "hello"}, {"type": "text", "text": " world"}, IMAGE, IMAGE])
    assert count_message(split) == TOKENS_PER_MESSAGE + 2 + 2 * TOKENS_PER_IMAGE


def test_calls_count_name_and_arguments() -> None:
    call = AIMessage("", tool_calls=[{"id": "1", "name": "f", "args": {"a": "hello world"}}])
    assert count_message(call) == TOKENS_PER_MESSAGE + count_json([{"name": "f", "arguments": {"a": "hello world"}}])


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 10**40, "\ud800", {"a": [10**30]}])
def test_what_orjson_refuses_is_json_all_the_same(value: object) -> None:
    """A tool call with a large number made every later request of its conversation fail."""
    assert count_json(value) > 0
    json_bytes(value).decode("ascii")
    message = AIMessage("", tool_calls=[{"id": "1", "name": "f", "args": {"n": value}}])
    assert count_message(message) > TOKENS_PER_MESSAGE

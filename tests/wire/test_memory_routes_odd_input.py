"""Odd requests for the memory bank, over real TCP: a 4xx OpenAI error object that names the field, never a 5xx."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.service import Running
from tests.wire.memory_routes_support import MARKS, REFRESH, SEARCH, STATUS, call, error_of

pytestmark = MARKS


@pytest.mark.parametrize("q", ["", " ", "\n\t", None])
async def test_an_empty_question(running: Running, q: str | None) -> None:
    answer = await running.http.get(SEARCH, params={} if q is None else {"q": q})
    assert error_of(answer, 400, "invalid_request")["param"] == "q"


@pytest.mark.parametrize("q", ["\0", "x" * 30_000, "\ufffd", "' OR 1=1 --", "潮汐 🌊", "%ED%A0%80"])
async def test_an_odd_question(running: Running, q: str) -> None:
    assert (await call(running, SEARCH, q=q)).status_code == 200


@pytest.mark.parametrize("path", [STATUS, SEARCH, REFRESH])
@pytest.mark.parametrize("workspace", ["project", "./project", "../project", "~/project", "C:\\project", "\0", "/a\0b"])
async def test_no_absolute_path(running: Running, path: str, workspace: str) -> None:
    error = error_of(await call(running, path, workspace=workspace), 400, "invalid_request")
    assert error["param"] == "workspace"


@pytest.mark.parametrize("path", [STATUS, SEARCH, REFRESH])
async def test_odd_workspaces_are_never_a_fault_of_ours(running: Running, places: dict[str, Path], path: str) -> None:
    bank = str(places["bank"])
    for workspace in (
        "/" + "x" * 10_000,
        f"{places['roots']}/{'x' * 300}",
        f"{bank}\ufffd",
        f"{bank}\n",
        f"{bank}%00",
        "/proc/self/mem",
        "\\\\server\\share",
    ):
        answer = await call(running, path, workspace=workspace)
        assert answer.status_code in {400, 403, 404}, (workspace, answer.text)
        assert answer.json()["error"]["message"]


async def test_bytes_that_are_no_text(running: Running, places: dict[str, Path]) -> None:
    for path in (STATUS, SEARCH):
        answer = await running.http.get(f"{path}?q=%ED%A0%80&workspace={places['roots']}/%ED%A0%80%FF")
        error_of(answer, 404, "memory_bank_not_found")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b'{"workspace": 5}',
        b'{"work": "/x"}',
        b'{"workspace": "\\u0000"}',
        b"\xff",
        b"[" * 9_999,
    ],
)
async def test_odd_bodies(running: Running, body: bytes) -> None:
    error_of(await running.http.post(REFRESH, content=body), 400, "invalid_request")


async def test_half_a_character_in_a_body(running: Running, places: dict[str, Path]) -> None:
    body = json.dumps({"workspace": f"{places['roots']}/\ud83d"})
    error_of(await running.http.post(REFRESH, content=body), 404, "memory_bank_not_found")


async def test_a_body_that_is_too_large(running: Running) -> None:
    error_of(await running.http.post(REFRESH, content=b" " * 34_000_000), 413, "body_too_large")


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="file names are Unicode there")
async def test_a_file_name_that_no_json_holds(running: Running, places: dict[str, Path]) -> None:
    bank = places["roots"] / "odd" / "memory-bank"
    bank.mkdir(parents=True)
    for name in (b"projectbrief.md", b"active_context.md", b"\xff.md"):
        (bank / os.fsdecode(name)).write_text("# Frost\n\nsrc/a.ts\n")
    for path in (STATUS, SEARCH, REFRESH):
        answer = await call(running, path, workspace=places["roots"] / "odd")
        assert answer.is_success, answer.text
    assert "memory-bank/?.md" in [
        file["name"] for file in (await call(running, STATUS, workspace=bank.parent)).json()["files"]
    ]

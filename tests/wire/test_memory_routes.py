"""The memory bank by hand, over real TCP: what is shown, to whom, and what is said where there is nothing to show."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import Running, running_service
from tests.wire.memory_routes_support import BANK, MARKS, REFRESH, SEARCH, STATUS, call, error_of

pytestmark = MARKS


async def test_status(running: Running, places: dict[str, Path]) -> None:
    answer = await call(running, STATUS, workspace=places["bank"])
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["bank"]["workspace"] == str(places["bank"])
    assert told["bank"]["root"] == str(places["bank"] / "memory-bank")
    assert told["bank"]["files"] == len(told["files"]) == 3
    assert told["bank"]["size_bytes"] == sum(len(text) for text in BANK.values())
    staleness = told["staleness"]
    assert staleness["verdict"] == "stale"
    assert staleness["reason"].startswith("stale: 1 commit in 30 days since memory-bank/activeContext.md was last")
    assert staleness["head"]["commits"] == 1
    assert (staleness["mentioned_paths"], staleness["missing_paths"]) == (2, 1)
    files = {file["name"]: file for file in told["files"]}
    active = files["memory-bank/activeContext.md"]
    assert active["missing_paths"] == [{"path": "src/tank.ts", "line": 5}]
    assert active["missing_count"] == 1
    assert active["core"]
    assert active["age_s"] >= 0
    assert active["modified_at"].endswith(("Z", "+00:00"))


async def test_the_default_workspace_is_meant_where_none_is_named(running: Running, places: dict[str, Path]) -> None:
    for path in (STATUS, SEARCH, REFRESH):
        for params in ({}, {"workspace": ""}):
            answer = await call(running, path, **params)
            assert answer.is_success, answer.text
            told = answer.json()
            assert told.get("bank", told)["workspace"] == str(places["bank"])


async def test_search_ranks_once_there_are_vectors(running: Running, places: dict[str, Path]) -> None:
    memory, embedder = running.service.memory, running.service.embedder
    embedder.embed_query("loads it")
    await memory.refresh(places["bank"])
    assert memory.wait_indexed(30)
    answer = await call(running, SEARCH, workspace=places["bank"], q="will it get cold?", k=2)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["used_vectors"], told["note"]) == (True, None)
    assert len(told["passages"]) == 2
    best = told["passages"][0]
    assert best["source"] == "memory-bank/progress.md"
    assert best["heading"].startswith("Progress")
    assert best["start_line"] <= best["end_line"]
    assert best["text"] in BANK[best["source"]]
    assert best["score"] >= told["passages"][1]["score"]
    assert best["tokens"] > 0
    assert best["age_s"] >= 0
    assert best["archived"] is False


async def test_search_is_bounded(running: Running) -> None:
    assert len((await call(running, SEARCH, k=1)).json()["passages"]) == 1
    assert (await call(running, SEARCH, budget_tokens=1)).json()["passages"] == []
    for name, values in {"k": ("0", "51", "x", "1e9"), "budget_tokens": ("0", "200001", "-1", "")}.items():
        for value in values:
            assert error_of(await call(running, SEARCH, **{name: value}), 400, "invalid_request")["param"] == name


async def test_refresh(running: Running, places: dict[str, Path]) -> None:
    bank = str(places["bank"])
    for answer in (
        await running.http.post(REFRESH, json={"workspace": bank}),
        await running.http.post(REFRESH, params={"workspace": bank}),
        await running.http.post(REFRESH, json={"workspace": bank}, params={"workspace": "/elsewhere"}),
        await running.http.post(REFRESH, json={}),
    ):
        assert answer.status_code == 202, answer.text
        assert answer.json()["root"] == str(places["bank"] / "memory-bank")


@pytest.mark.parametrize("path", [STATUS, SEARCH, REFRESH])
async def test_no_bank(running: Running, places: dict[str, Path], path: str) -> None:
    error = error_of(await call(running, path, workspace=places["empty"]), 404, "memory_bank_not_found")
    assert "memory-bank, .kilocode/rules/memory-bank" in error["message"]
    assert "memory-bank/projectbrief.md" in error["message"]
    error = error_of(await call(running, path, workspace=places["empty"] / "gone"), 404, "memory_bank_not_found")
    assert "no folder" in error["message"]


@pytest.mark.parametrize("path", [STATUS, SEARCH, REFRESH])
async def test_outside_the_roots(running: Running, places: dict[str, Path], path: str) -> None:
    for workspace in (places["outside"], places["bank"] / ".." / ".." / places["outside"].name, "/"):
        error = error_of(await call(running, path, workspace=workspace), 403, "forbidden")
        assert "workspace_roots" in error["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://[", "sec-fetch-site": "none"},
    ],
)
async def test_pages_of_other_sites_are_refused(running: Running, headers: dict[str, str]) -> None:
    for path in (STATUS, SEARCH):
        error_of(await running.http.get(path, headers=headers), 403, "forbidden")
    error_of(await running.http.post(REFRESH, headers=headers), 403, "forbidden")


async def test_our_own_pages_are_not(running: Running) -> None:
    own = {"origin": running.base_url, "sec-fetch-site": "same-origin"}
    for headers in (own, {"sec-fetch-site": "none"}):
        assert (await running.http.get(STATUS, headers=headers)).status_code == 200


async def test_what_is_documented(running: Running) -> None:
    api = (await running.http.get("/openapi.json")).json()
    for path, method, success in ((STATUS, "get", "200"), (SEARCH, "get", "200"), (REFRESH, "post", "202")):
        described = api["paths"][path][method]
        assert described["responses"].keys() == {success, "4XX", "5XX"}
        reply = described["responses"][success]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert api["components"]["schemas"][reply]["description"]
    body = api["paths"][REFRESH]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"].keys() == {"workspace"}


async def test_memory_that_is_switched_off_says_what_to_change(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path) as running:
        for path in (STATUS, SEARCH, REFRESH):
            error = error_of(await call(running, path, workspace=tmp_path), 404, "memory_disabled")
            assert "memory.enabled" in error["message"]


async def test_no_workspace_at_all(tmp_path: Path) -> None:
    memory = {"enabled": True}
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path, memory=memory) as running:
        for path in (STATUS, SEARCH, REFRESH):
            error = error_of(await call(running, path), 400, "invalid_request")
            assert error["param"] == "workspace"
            assert "memory.default_workspace" in error["message"]

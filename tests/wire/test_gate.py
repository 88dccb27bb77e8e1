"""Who is let in, over real TCP: host names, keys, and pages of other sites, with and without CORS."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr
from starlette.responses import PlainTextResponse
from starlette.types import Message, Scope
from structlog.testing import capture_logs

import wire
from tests.support.scripted_ollama import Reply, ScriptedOllama
from tests.support.service import CHAT, Running, ask, running_service, settings_for
from wire.gate import Access, Gate

KEY = "sk-größe-7f3a"
SITE = "https://chat.example"
# What has no side effect and needs no body is enough to see whether the gate opens.
ROUTES = [
    ("GET", "/health"),
    ("GET", "/health/ready"),
    ("GET", "/v1/models"),
    ("POST", CHAT),
    ("POST", "/v1/route"),
    ("GET", "/memory/status"),
    ("POST", "/memory/refresh"),
    ("POST", "/router/invoke"),
    ("POST", "/router/batch"),
    ("POST", "/router/stream"),
    ("GET", "/router/playground/"),
    ("POST", "/chat/invoke"),
    ("POST", "/chat/stream_log"),
    ("GET", "/chat/playground/"),
    ("GET", "/chat/c/N4XyA/input_schema"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/no/such/page"),
]
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def locked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    server = {"cors_origins": [SITE], "allowed_hosts": ["router.lan"]}
    async with (
        ScriptedOllama() as ollama,
        running_service(ollama, tmp_path_factory.mktemp("locked"), KEY, server=server) as running,
    ):
        yield running


def bearer(key: str = KEY) -> dict[str, str]:
    return {"authorization": b"Bearer " + key.encode()}  # type: ignore[dict-item]  # httpx takes bytes too


def error_of(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert error["code"] == code
    assert answer.headers["x-request-id"]
    return error


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_nothing_is_open_without_the_key(locked: Running, method: str, path: str) -> None:
    answer = await locked.http.request(method, path)
    assert "missing" in error_of(answer, 401, "invalid_api_key")["message"]
    bearer_alone, basic = answer.headers.get_list("www-authenticate")
    assert bearer_alone == "Bearer"
    assert basic.startswith("Basic ")
    error_of(await locked.http.request(method, path, headers=bearer("wrong")), 401, "invalid_api_key")
    assert (await locked.http.request(method, path, headers=bearer())).status_code != 401


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": KEY.encode()},
        {"authorization": b"Basic " + KEY.encode()},
        {"authorization": b"Bearer"},
        {"authorization": b"Bearer " + KEY[:-1].encode()},
        {"authorization": b"Bearer " + KEY.encode() + b"x"},
        {"x-api-key": b""},
        {"x-api-key": KEY.encode("latin-1")},
    ],
)
async def test_keys_that_are_not_the_key(locked: Running, headers: Any) -> None:
    error = error_of(await locked.http.get("/v1/models", headers=headers), 401, "invalid_api_key")
    assert KEY not in json.dumps(error, ensure_ascii=False)


@pytest.mark.parametrize(
    "headers", [bearer(), {"authorization": b"bearer  " + KEY.encode()}, {"x-api-key": KEY.encode()}]
)
async def test_ways_to_send_the_key(locked: Running, headers: Any) -> None:
    assert (await locked.http.get("/v1/models", headers=headers)).status_code == 200


async def test_a_supervisor_needs_no_key_to_see_that_the_process_lives(locked: Running) -> None:
    assert (await locked.http.get("/health/live")).json() == {"status": "alive"}


async def test_a_body_is_not_waited_for_where_the_key_is_wrong(locked: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(locked.base_url.rpartition(":")[2]))
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\ncontent-length: 100\r\n\r\n{")
    assert (await reader.readline()).split()[1] == b"401"
    writer.close()
    await writer.wait_closed()


async def test_foreign_host_names_are_refused(locked: Running) -> None:
    for host in ("evil.example", "evil.example:8000", "localhost.evil.example", ""):
        answer = await locked.http.get("/health/live", headers={"host": host})
        assert "allowed_hosts" in error_of(answer, 403, "forbidden")["message"]
    for host in ("router.lan", "router.lan:1", "LOCALHOST", "[::1]:9"):
        assert (await locked.http.get("/health/live", headers={"host": host})).status_code == 200


async def test_one_host_name_and_no_more(locked: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(locked.base_url.rpartition(":")[2]))
    for names, status in (
        (b"", b"403"),
        (b"Host: localhost\r\nHost: evil.example\r\n", b"403"),
        (b"Host: localhost\r\n", b"200"),
    ):
        writer.write(b"GET /health/live HTTP/1.1\r\n" + names + b"\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.split()[1] == status
        length = next(int(line.split(b":")[1]) for line in head.splitlines() if line.startswith(b"content-length"))
        await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()


FOREIGN = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost:1"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("path", [CHAT, "/v1/route", "/router/invoke", "/memory/refresh"])
async def test_pages_of_other_sites_use_nothing(locked: Running, path: str, headers: dict[str, str]) -> None:
    chats = len(locked.ollama.chats)
    answer = await locked.http.post(path, json=ask(), headers=bearer() | headers)
    assert "cors_origins" in error_of(answer, 403, "forbidden")["message"]
    assert len(locked.ollama.chats) == chats
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_pages_of_other_sites_may_link_here(locked: Running) -> None:
    headers = bearer() | {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert (await locked.http.get("/docs", headers=headers)).status_code == 200


def preflight(origin: str) -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }


def documented_answer_headers() -> set[str]:
    guide = (Path(wire.__file__).parents[1] / "docs" / "http.md").read_text(encoding="utf-8")
    told = guide.split("\nAnswer headers: ", 1)[1].split("\n", 1)[0]
    return set(re.findall(r"`(x-[a-z-]+)`", told))


async def test_a_listed_origin_may_use_the_service_and_read_its_answers(locked: Running) -> None:
    asked_first = await locked.http.options(CHAT, headers=preflight(SITE))
    assert asked_first.status_code == 200, "a browser sends no key with this question"
    assert asked_first.headers["access-control-allow-origin"] == SITE
    assert "authorization" in asked_first.headers["access-control-allow-headers"].lower()
    page = bearer() | {"origin": SITE, "sec-fetch-site": "cross-site"}
    for body, status in ((ask(), 200), (ask(stream=True), 200), (ask(n=2), 400)):
        answer = await locked.http.post(CHAT, json=body, headers=page)
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == SITE
        exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
        assert exposed == documented_answer_headers()
        assert "access-control-allow-credentials" not in answer.headers
    refused = await locked.http.post(CHAT, json=ask(), headers={"origin": SITE})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, SITE)


@pytest.mark.parametrize("origin", ["https://evil.example", "http://chat.example", f"{SITE}.evil.example", "null"])
async def test_no_other_origin_gets_a_cors_header(locked: Running, origin: str) -> None:
    locked.ollama.script(Reply.text("a"))
    answers = [
        await locked.http.options(CHAT, headers=preflight(origin)),
        await locked.http.get("/v1/models", headers=bearer() | {"origin": origin}),
        await locked.http.get("/v1/models/none", headers=bearer() | {"origin": origin}),
        await locked.http.get("/health", headers={"origin": origin}),
        await locked.http.post(CHAT, json=ask(stream=True), headers=bearer() | {"origin": origin}),
    ]
    assert [answer.status_code for answer in answers] == [401, 200, 404, 401, 403]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_refusals_are_logged_without_key_or_question(locked: Running) -> None:
    with capture_logs() as lines:
        await locked.http.get("/memory/search?q=confidential", headers=bearer("confidential"))
    (line,) = [line for line in lines if line["event"] == "refused"]
    assert line["code"] == "invalid_api_key"
    assert "confidential" not in repr(lines)
    assert KEY not in repr(locked.settings)


async def asked_at(address: str, key: str | None) -> int:
    """The status that a connection to this address gets."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    headers = [(b"host", f"[{address}]".encode() if ":" in address else address.encode()), (b"x-api-key", b"k")]
    scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "server": (address, 80)}
    scope["state"] = {"request_id": "r"}
    access = Access(frozenset(), frozenset(), SecretStr(key) if key else None)
    await Gate(PlainTextResponse("in"), access=access)(scope, receive, send)
    return int(sent[0]["status"])


async def test_without_a_key_only_loopback_connections_are_answered() -> None:
    """`uvicorn --host 0.0.0.0 --factory server:build_default_app` does not pass by our own check of the address."""
    for address in ("127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1"):
        assert await asked_at(address, key=None) == 200
    for address in ("192.168.1.5", "10.0.0.1", "fe80::1", "::ffff:10.0.0.1"):
        assert await asked_at(address, key=None) == 403
        assert await asked_at(address, key="k") == 200
        assert await asked_at(address, key="other") == 401


async def test_what_is_let_in_is_what_was_configured(tmp_path: Path) -> None:
    settings = settings_for("http://127.0.0.1:1", tmp_path, "k", server={"host": "::1", "allowed_hosts": ["a.b"]})
    access = Access.of(settings)
    assert access.host_names == {"::1", "a.b"}
    assert access.origins == frozenset()
    assert access.key is not None

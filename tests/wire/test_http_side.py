"""The request id and the body's limit, without a server: bytes as ASGI hands them over."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive, Scope, Send

from config.errors import BadRequest, BodyTooLarge
from wire.body import read_json
from wire.request_id import RequestIdMiddleware, request_id_of


def scope(*headers: tuple[str, str]) -> Scope:
    return {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(n.encode(), v.encode("latin-1")) for n, v in headers],
    }


def receiving(pieces: Sequence[bytes], *, gone: bool = False) -> tuple[Receive, list[bytes]]:
    left = list(pieces)

    async def receive() -> Message:
        if gone and not left:
            return {"type": "http.disconnect"}
        piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": gone or bool(left)}

    return receive, left


async def read(pieces: Sequence[bytes], *headers: tuple[str, str], gone: bool = False, max_bytes: int = 20) -> Any:
    receive, _ = receiving(pieces, gone=gone)
    return await read_json(Request(scope(*headers), receive), max_bytes=max_bytes)


async def test_reads_a_body_in_pieces() -> None:
    assert await read([b'{"a"', b": [1]", b"}"]) == {"a": [1]}
    assert await read([b'"' + b"x" * 18 + b'"']) == "x" * 18


@pytest.mark.parametrize("headers", [[], [("content-length", "5")], [("content-length", "nonsense")]])
async def test_a_body_that_grows_too_large_is_not_read_on(headers: list[tuple[str, str]]) -> None:
    receive, left = receiving([b"x" * 15] * 4)
    with pytest.raises(BodyTooLarge, match="20 bytes") as refused:
        await read_json(Request(scope(*headers), receive), max_bytes=20)
    assert refused.value.param == "body"
    assert len(left) == 2


async def test_a_body_that_says_it_is_too_large_is_not_read_at_all() -> None:
    receive, left = receiving([b"{}"])
    with pytest.raises(BodyTooLarge):
        await read_json(Request(scope(("content-length", "21")), receive), max_bytes=20)
    assert left == [b"{}"]


async def test_half_a_character_in_a_deep_body() -> None:
    """It was decoded a second time, by a decoder without a bound of its own."""
    with pytest.raises(BadRequest, match="too deep"):
        await read([b'["\\ud800",' + b"[" * 5000 + b"]" * 5000 + b"]"], max_bytes=100_000)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[NaN]", b'{"a": 1}x', b'"\\ud83d'])
async def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(BadRequest, match="no valid JSON"):
        await read([body])


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb'"\ud83d"', "\ufffd"),
        (rb'"\ude00 x"', "\ufffd x"),
        (rb'"\ud83dabc"', "\ufffdabc"),
        (rb'"\ud83d\ude00\ud83d"', "😀\ufffd"),
        (rb'"\\ud83d"', "\\ud83d"),
    ],
)
async def test_half_a_character_is_replaced(body: bytes, text: str) -> None:
    assert await read([body]) == text


async def test_what_nests_too_deep() -> None:
    assert await read([b"[" * 230 + b"]" * 230], max_bytes=1000)
    for depth in (250, 1000, 2000, 100_000):
        with pytest.raises(BadRequest):
            await read([b"[" * depth + b"]" * depth], max_bytes=1_000_000)


async def test_a_client_that_goes_within_its_body() -> None:
    with pytest.raises(ClientDisconnect):
        await read([b"{"], gone=True)


async def call(app: Callable[[Scope, Receive, Send], Awaitable[None]], of: Scope) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(of, receive, send)
    return sent


async def id_given_to(*headers: tuple[str, str]) -> str:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(request_id_of(Request(scope)))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-request-id", b"other")]})
        await send({"type": "http.response.body", "body": b""})

    start, _ = await call(RequestIdMiddleware(app), scope(*headers))
    assert [value.decode() for name, value in start["headers"] if name == b"x-request-id"] == seen
    return seen[0]


async def test_a_sane_request_id_is_kept() -> None:
    for sane in ("a", "req_1.2-3", "x" * 64):
        assert await id_given_to(("x-request-id", sane)) == sane


@pytest.mark.parametrize("odd", ["", " ", "x" * 65, "a b", "ä", "a\nb", "<x>"])
async def test_any_other_is_replaced(odd: str) -> None:
    given = await id_given_to(("x-request-id", odd))
    assert given != odd
    assert len(given) == 24
    assert given != await id_given_to()


async def test_what_is_no_request_passes_untouched() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    await call(RequestIdMiddleware(app), {"type": "lifespan"})
    assert seen == [{"type": "lifespan"}]

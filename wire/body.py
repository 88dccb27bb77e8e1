"""Reads a request's JSON body, no more of it than is allowed."""

from __future__ import annotations

import json
from typing import Any

import orjson
from starlette.requests import Request

from config.errors import BadRequest, BodyTooLarge, CompressedBody

SPARE_LEVELS = 16
MAX_LEVELS = 254 - SPARE_LEVELS


async def read_json(request: Request, *, max_bytes: int) -> Any:
    """Decode the body.

    Raises:
        BodyTooLarge, CompressedBody: as `read_body`.
        BadRequest: it is no JSON, or nests too deep.
    """
    return decode_json(await read_body(request, max_bytes=max_bytes))


def decode_json(body: bytes) -> Any:
    """The value of a JSON text; raises `BadRequest` where it is none, or nests too deep."""
    try:
        value = _decode(body)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        if "depth limit" in str(error):
            raise _too_deep() from None
        raise BadRequest(f"The body is no valid JSON ({error}): mend it.", param="body") from None
    if nests_too_deep(value):
        raise _too_deep()
    return value


async def read_body(request: Request, *, max_bytes: int) -> bytes:
    """The body, without reading on where it cannot be taken.

    Raises:
        BodyTooLarge: it is, or says it is, larger than `max_bytes`.
        CompressedBody: it says that it is packed.
    """
    packed = request.headers.get("content-encoding", "identity")
    if packed.strip().lower() not in ("", "identity"):
        raise CompressedBody("The body is compressed: send it without content-encoding.")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(body)


def nests_too_deep(value: Any) -> bool:
    """Whether a JSON value cannot be sent on: orjson writes 254 levels, of which the call's own body needs some."""
    for _ in range(SPARE_LEVELS):
        value = [value]
    try:
        orjson.dumps(value)
    except TypeError as error:
        return "ecursion" in str(error)
    return False


def _decode(body: bytes) -> Any:
    """JavaScript may cut a text within a character and write the half as an escape; it becomes U+FFFD, as in UTF-8."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if "surrogate" not in str(error):
            raise
    text = json.dumps(json.loads(body), ensure_ascii=False)
    return orjson.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _too_deep() -> BadRequest:
    return BadRequest(f"The body nests too deep: send at most {MAX_LEVELS} levels.", param="body")


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is larger than {max_bytes} bytes (server.max_body_bytes): send less, or raise the limit.",
        param="body",
    )

"""Reads a request's JSON body, no more of it than is allowed."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request

from config.errors import BadRequest, BodyTooLarge


async def read_json(request: Request, *, max_bytes: int) -> Any:
    """Decode the body.

    Raises:
        BodyTooLarge: it is, or says it is, larger than `max_bytes`; told without reading on.
        BadRequest: it is no JSON.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is no valid JSON ({error}): mend it.", param="body") from None


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is larger than {max_bytes} bytes (server.max_body_bytes): send less, or raise the limit.",
        param="body",
    )

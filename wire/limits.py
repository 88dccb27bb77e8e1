"""How much one request may hold, told before anything in it is looked at: to validate a million messages is slow."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from starlette.requests import Request

from config.errors import BadRequest
from config.settings import ServerSettings
from wire.body import read_json

_LISTS_OF_MESSAGES = ("messages", "input")
# A tuple: a type may be anything, also what cannot be hashed.
_IMAGES = ("image_url", "input_image", "image")


async def read_bounded_json(request: Request, server: ServerSettings) -> Any:
    """Decode the body of a chat, of whichever API; raises as `read_json`, and `BadRequest` where it holds too much."""
    body = await read_json(request, max_bytes=server.max_body_bytes)
    check_amounts(body, server)
    return body


def check_amounts(body: Any, server: ServerSettings) -> None:
    """Raise `BadRequest` where a decoded body has more messages, images or tools than it may; odd shapes are let by."""
    if isinstance(body, dict):
        for field in _LISTS_OF_MESSAGES:
            messages = _items(body.get(field))
            _check(len(messages), server.max_messages, field, "messages", "server.max_messages")
            images = sum(part.get("type") in _IMAGES for message in messages for part in _parts(message))
            _check(images, server.max_images, field, "images", "server.max_images")
        tools = _items(body.get("tools"))
        grouped = sum(len(_items(tool.get("tools"))) for tool in tools if isinstance(tool, dict))
        _check(len(tools) + grouped, server.max_tools, "tools", "tools", "server.max_tools")


def _check(count: int, limit: int, param: str, what: str, setting: str) -> None:
    if count > limit:
        raise BadRequest(f"{param}: has {count} {what}, more than {limit} ({setting}): send fewer.", param=param)


def _parts(message: Any) -> Iterator[dict[str, Any]]:
    """The parts of a message's content or of a call's output, and of the tool results among them."""
    if isinstance(message, dict):
        for part in chain(_items(message.get("content")), _items(message.get("output"))):
            if isinstance(part, dict):
                yield part
                yield from _parts(part)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

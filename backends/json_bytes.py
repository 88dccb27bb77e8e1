"""JSON as it goes to a model."""

from __future__ import annotations

import json

import orjson


def json_bytes(value: object) -> bytes:
    """As JSON; also integers of more than 64 bits and half surrogates, which orjson refuses and tool calls may hold."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()

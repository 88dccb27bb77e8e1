"""Server-sent events, as OpenAI's clients read them. Source: WHATWG HTML, section 9.2."""

from __future__ import annotations

from typing import Any

import orjson

HEARTBEAT = b": ping\n\n"
DONE = b"data: [DONE]\n\n"


def encode(value: dict[str, Any]) -> bytes:
    """One event; JSON holds no raw line break, so one `data:` line carries any text."""
    return b"data: " + orjson.dumps(value) + b"\n\n"


def encode_event(value: dict[str, Any]) -> bytes:
    """One event that is named by its `type`, as in the APIs whose clients tell events apart by name."""
    return f"event: {value['type']}\n".encode() + encode(value)

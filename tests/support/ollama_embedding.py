"""What a scripted Ollama answers to `/api/embed`: vectors in which texts that share words are near."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping

from tests.support.ollama_catalogue import Model, with_tag
from tests.support.ollama_http import Connection
from tests.support.ollama_playing import Gates
from tests.support.ollama_replies import BEFORE_HEADERS, JsonObject, Reply, Whole

EMBEDDING_DIMENSION = 256


async def play_embed(
    connection: Connection, request: JsonObject, models: Mapping[str, Model], reply: Reply, gates: Gates
) -> bool:
    """Answer as `reply` says, or with vectors; False when the connection must not be used again."""
    held = asyncio.create_task(gates.hold(reply, BEFORE_HEADERS))
    gone = asyncio.create_task(connection.gone.wait())
    await asyncio.wait({held, gone}, return_when=asyncio.FIRST_COMPLETED)
    for task in (held, gone):
        task.cancel()
    await asyncio.wait({held, gone})
    if reply.reset_at_once:
        connection.reset()
    elif connection.gone.is_set():
        connection.abort()
    else:
        await connection.send_whole(reply.instead or embed(request, models))
        return True
    return False


def embed(request: JsonObject, models: Mapping[str, Model]) -> Whole:
    """One row a text, not normalised, as some models give them."""
    name = request.get("model", "")
    model = models.get(with_tag(name))
    if model is None:
        return Whole.of({"error": f'model "{name}" not found, try pulling it first'}, 404)
    if "embedding" not in model.capabilities:
        return Whole.of({"error": "this model does not support embeddings"}, 501)
    given = request["input"]
    texts = [given] if isinstance(given, str) else given
    if any(len(text.split()) > model.window for text in texts):
        # As Ollama from 0.13.5 on does, whatever `truncate` says.
        return Whole.of({"error": "the input length exceeds the context length"}, 400)
    return Whole.of({"model": name, "embeddings": [_row(text) for text in texts], "load_duration": 1})


def _row(text: str) -> list[float]:
    row = [0.01] * EMBEDDING_DIMENSION
    for word in re.findall(r"[^\W\d]+", text.casefold()):
        row[int(hashlib.sha256(word.encode()).hexdigest(), 16) % EMBEDDING_DIMENSION] += 2.0
    return row

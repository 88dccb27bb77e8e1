"""`POST /v1/embeddings`: the memory bank's embedder for whoever else wants vectors."""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag
from starlette.responses import JSONResponse

from chains.counting import count_text, text_of_tokens
from config.errors import BadRequest, UnknownModel
from retrievers.long_texts import embed_whole
from retrievers.types import Embedder
from wire.body import read_json
from wire.replies import Embeddings
from wire.service import RouterService, service_of
from wire.validate import validated

# As OpenAI has them.
MAX_INPUTS = 2048
MAX_INPUT_TOKENS = 8192
MAX_TOKENS = 300_000
Tokens = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
Several = Field(min_length=1, max_length=MAX_INPUTS)

routes = APIRouter()


def _kind_of_input(value: Any) -> str:
    if not isinstance(value, list):
        return "text"
    match value[:1]:
        case [int() | float()]:
            return "tokens"
        case [list()]:
            return "several tokens"
        case _:
            return "several texts"


Input = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[Tokens, Tag("tokens")]
    | Annotated[list[str], Several, Tag("several texts")]
    | Annotated[list[Tokens], Several, Tag("several tokens")],
    Discriminator(_kind_of_input),
]


class EmbeddingsRequest(BaseModel):
    """Texts, or texts as cl100k tokens, one or several."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(min_length=1, max_length=200)
    input: Input
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(default=None, ge=1)


@routes.post("/v1/embeddings", response_model=Embeddings)
async def embeddings(request: Request) -> Response:
    """Vectors of length 1, in the order of the texts."""
    service = service_of(request)
    asked = validated(EmbeddingsRequest, await read_json(request, max_bytes=service.settings.server.max_body_bytes))
    _check_model(asked.model, service)
    loop = asyncio.get_running_loop()
    return JSONResponse(await loop.run_in_executor(service.embedding_threads, _embed, asked, service.embedder))


def _check_model(model: str, service: RouterService) -> None:
    server, name = service.settings.server, service.embedder.name
    if model not in {name, server.model_id, *server.model_aliases}:
        raise UnknownModel(
            f"There is no embedding model {model[:100]!r}: use {name} or {server.model_id}.", param="model"
        )


def _embed(asked: EmbeddingsRequest, embedder: Embedder) -> dict[str, Any]:
    """Blocks: for seconds where the embedder is still to be loaded."""
    texts = _texts(asked)
    tokens = _count(texts)
    vectors = embed_whole(embedder, texts)
    if asked.dimensions not in (None, len(vectors[0])):
        raise BadRequest(
            f"dimensions: {embedder.name} gives {len(vectors[0])} and cannot give fewer: leave it out.",
            param="dimensions",
        )
    encode = _base64 if asked.encoding_format == "base64" else list
    return {
        "object": "list",
        "model": embedder.name,
        "data": [{"object": "embedding", "index": row, "embedding": encode(each)} for row, each in enumerate(vectors)],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _texts(asked: EmbeddingsRequest) -> list[str]:
    given: list[Any] = [asked.input] if isinstance(asked.input, str) or isinstance(asked.input[0], int) else asked.input
    try:
        texts = [each if isinstance(each, str) else text_of_tokens(each) for each in given]
    except ValueError as error:
        raise BadRequest(f"input: {error}: send cl100k tokens, or texts.", param="input") from None
    if not all(texts):
        raise BadRequest("input: holds an empty text: leave it out.", param="input")
    return texts


def _count(texts: list[str]) -> int:
    """All texts' tokens by the router's own tokenizer; raises `BadRequest` where there are too many."""
    counts = [count_text(text) for text in texts]
    for index, count in enumerate(counts):
        if count > MAX_INPUT_TOKENS:
            raise BadRequest(
                f"input[{index}]: has {count} tokens, more than {MAX_INPUT_TOKENS}: send it in parts.",
                param=f"input[{index}]",
            )
    if sum(counts) > MAX_TOKENS:
        raise BadRequest(
            f"input: has {sum(counts)} tokens, more than {MAX_TOKENS}: send it in several requests.", param="input"
        )
    return sum(counts)


def _base64(vector: list[float]) -> str:
    """Little-endian float32, as OpenAI's SDK asks for it."""
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()

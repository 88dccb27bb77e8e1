"""`/v1/embeddings` and `/v1/models` with the `openai` package."""

from typing import Any

import numpy as np
import openai as sdk
import pytest
import tiktoken
from openai import AsyncOpenAI

from chains.counting import ENCODING
from tests.support.service import MODEL, Running

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # sentence-transformers and torch load in a thread; their own deprecations are not ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]
EMBEDDER = "all-MiniLM-L6-v2"
# The embedder is loaded by the first request here, which takes seconds.
LOADING_S = 100
TEXTS = ["the pump waits for the tank", "a frost warning", "grün ✓"]


async def test_the_sdks_default_and_floats_are_the_same_vectors(openai: AsyncOpenAI) -> None:
    """The SDK asks for base64 and decodes it, unless a format is named."""
    packed = await openai.embeddings.create(model=EMBEDDER, input=TEXTS, timeout=LOADING_S)
    plain = await openai.embeddings.create(model=MODEL, input=TEXTS, encoding_format="float")
    assert [each.index for each in packed.data] == [0, 1, 2]
    assert (packed.object, packed.model, packed.data[0].object) == ("list", EMBEDDER, "embedding")
    vectors = np.array([each.embedding for each in packed.data])
    assert vectors.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors, [each.embedding for each in plain.data], atol=1e-6)
    assert packed.usage.prompt_tokens == packed.usage.total_tokens > 0


async def test_one_text_and_its_tokens(openai: AsyncOpenAI) -> None:
    tokens = tiktoken.get_encoding(ENCODING).encode(TEXTS[0])
    given: list[Any] = [TEXTS[0], [TEXTS[0]], tokens, [tokens]]
    answers = [await openai.embeddings.create(model=EMBEDDER, input=each) for each in given]
    first, *others = [answer.data[0].embedding for answer in answers]
    for other in others:
        np.testing.assert_allclose(first, other, atol=1e-6)
    assert [len(answer.data) for answer in answers] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("more", "param", "word"),
    [
        ({"input": ""}, "input", "an empty text"),
        ({"input": ["a", ""]}, "input", "an empty text"),
        ({"input": [10**9]}, "input", "cl100k"),
        ({"input": [2**80]}, "input[0]", "fewer digits"),
        ({"input": {"a": 1}}, "input", "a text"),
        ({"input": []}, "input", "at least 1"),
        ({"input": ["a"] * 2049}, "input", "at most 2048"),
        ({"input": ["a", 1]}, "input[1]", "a text"),
        ({"input": [1, "a"]}, "input[1]", "a whole number"),
        ({"input": [[1], []]}, "input[1]", "at least 1"),
        ({"input": [[1], [-1]]}, "input[1][0]", "at least 0"),
        ({"dimensions": 12}, "dimensions", "384"),
        ({"encoding_format": "int8"}, "encoding_format", "base64"),
    ],
)
async def test_what_is_refused_is_named(running: Running, more: dict[str, Any], param: str, word: str) -> None:
    answer = await running.http.post("/v1/embeddings", json={"model": EMBEDDER, "input": "a"} | more)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"] == param
    assert word in error["message"]


async def test_chat_models_embed_nothing_and_the_embedder_does_not_chat(openai: AsyncOpenAI) -> None:
    with pytest.raises(sdk.NotFoundError, match=EMBEDDER):
        await openai.embeddings.create(model="implementation", input="a")
    with pytest.raises(sdk.NotFoundError):
        await openai.chat.completions.create(model=EMBEDDER, messages=[{"role": "user", "content": "a"}])


async def test_models_tell_their_window_and_what_they_can(openai: AsyncOpenAI) -> None:
    models: dict[str, Any] = {model.id: model.model_extra async for model in openai.models.list()}
    assert models[MODEL]["context_window"] == 200_000
    assert models[MODEL]["capabilities"] == ["chat", "tools", "vision", "thinking"]
    assert models["memory_fast"]["context_window"] == 40_960
    assert models["memory_fast"]["capabilities"] == ["chat", "tools", "thinking"]
    assert models["memory_fast"]["model"] == "qwen3:30b-a3b"
    assert models["implementation"]["capabilities"] == ["chat", "tools"]
    assert models["memory_analysis"]["capabilities"] == ["chat", "tools", "vision"]
    assert models[EMBEDDER]["capabilities"] == ["embeddings"]


async def test_the_end_of_a_long_text_counts(openai: AsyncOpenAI) -> None:
    """Behind its first 256 word pieces nothing was seen, and nobody was told."""
    filler = "def f(x_1: int) -> int:\n    return x_1 + 1  # unverändert\n\n" * 40
    ends = [filler + "The pump waits for the tank. " * 20, filler + "A frost warning for the vineyards. " * 20, filler]
    answer = await openai.embeddings.create(model=EMBEDDER, input=[*ends, "the pump waits for the tank"])
    pump, frost, plain, question = np.array([each.embedding for each in answer.data])
    np.testing.assert_allclose(np.linalg.norm([pump, frost, plain], axis=1), 1, atol=1e-5)
    assert pump @ question > plain @ question + 0.1
    assert pump @ question > frost @ question + 0.1


async def test_too_long_a_text_is_named(running: Running) -> None:
    for given, param in ((["a", "b c " * 5000], "input[1]"), (["a b " * 4000] * 40, "input")):
        answer = await running.http.post("/v1/embeddings", json={"model": EMBEDDER, "input": given})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
        assert "tokens, more than" in answer.json()["error"]["message"]

from __future__ import annotations

import httpx
import pytest

from tests.backends.embedded.embedded_support import LONG, chat, chat_body

pytestmark = pytest.mark.embedded


async def test_seed_decides(http: httpx.AsyncClient) -> None:
    options = {"num_predict": 8, "temperature": 1.5, "top_k": 0, "top_p": 1.0}
    await chat(http, "Tell a story.")  # so that each of the next finds the same prompt cache

    async def told(seed: int) -> str:
        answer = await chat(http, "Tell a story.", options=options | {"seed": seed})
        return str(answer["message"]["content"])

    one = [await told(7), await told(7)]
    assert one[0] == one[1]
    assert len({one[0], await told(8), await told(9)}) > 1


async def test_stop_ends_before_the_word(http: httpx.AsyncClient) -> None:
    history = [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "1, 2, 3, 4, 5, 6,"}]
    answer = await chat(http, messages=history, options={"num_predict": 12, "temperature": 0, "stop": ["9"]})
    assert answer["done_reason"] == "stop"
    assert "7" in answer["message"]["content"]
    assert "9" not in answer["message"]["content"]


async def test_num_predict_0_still_samples_one_token(http: httpx.AsyncClient) -> None:
    """llama.cpp looks at the limit after it sampled; what matters is that 0 does not mean endless."""
    answer = await chat(http, options={"num_predict": 0})
    assert (answer["eval_count"], answer["done_reason"]) == (1, "length")


async def test_format_json_is_an_object(http: httpx.AsyncClient) -> None:
    answer = await chat(http, "Reply in JSON.", format="json", options={"num_predict": 5, "temperature": 0})
    assert answer["message"]["content"].lstrip().startswith("{")


async def test_a_schema_that_cannot_be_enforced_is_an_error(http: httpx.AsyncClient) -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}, "required": ["a"]}
    response = await http.post("/api/chat", json=chat_body(format=schema, options={"num_predict": 40, "seed": 1}))
    if response.status_code == 200:
        assert response.json()["done_reason"] == "length"
    else:
        assert "error" in response.json()


async def test_the_window_ends_the_answer(http: httpx.AsyncClient) -> None:
    answer = await chat(http, "Tell a very long story.", options={"num_ctx": 48, "temperature": 0})
    assert answer["done_reason"] == "length"
    assert answer["prompt_eval_count"] + answer["eval_count"] == 48


async def test_old_messages_go_when_the_window_is_small(http: httpx.AsyncClient) -> None:
    history = [
        {"role": "user", "content": LONG},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Hi"},
    ]
    answer = await chat(http, messages=history, options={"num_ctx": 128, "num_predict": 2})
    assert answer["prompt_eval_count"] < 60

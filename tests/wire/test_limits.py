"""How much one chat may hold, over real TCP."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import Running, running_service

pytestmark = pytest.mark.asyncio(loop_scope="module")
SAID: dict[str, Any] = {"role": "user", "content": "a"}
IMAGE: dict[str, Any] = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
TOOL = {"type": "function", "function": {"name": "f"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def narrow(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    server = {"max_messages": 3, "max_tools": 2, "max_images": 2}
    async with (
        ScriptedOllama() as ollama,
        running_service(ollama, tmp_path_factory.mktemp("narrow"), server=server) as running,
    ):
        yield running


def seen(images: int) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": "a"}, *[IMAGE] * images]}


@pytest.mark.parametrize(
    ("body", "param", "setting"),
    [
        ({"messages": [SAID] * 4}, "messages", "max_messages"),
        ({"messages": [SAID, seen(1), seen(2)]}, "messages", "max_images"),
        ({"messages": [SAID], "tools": [TOOL] * 3}, "tools", "max_tools"),
    ],
)
async def test_more_than_the_limit(narrow: Running, body: dict[str, Any], param: str, setting: str) -> None:
    for path in ("/v1/chat/completions", "/v1/route"):
        answer = await narrow.http.post(path, json={"model": "auto"} | body)
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (400, param)
        assert f"server.{setting}" in error["message"]


async def test_more_images_than_the_limit_in_the_output_of_a_call(narrow: Running) -> None:
    output = [{"type": "input_image", "image_url": IMAGE["image_url"]["url"]}] * 3
    item = {"type": "function_call_output", "call_id": "1", "output": output}
    answer = await narrow.http.post("/v1/responses", json={"model": "auto", "input": [item]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")
    assert "server.max_images" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/router/invoke", "/router/stream", "/router/batch", "/chat/invoke"])
@pytest.mark.parametrize(
    ("messages", "setting"), [([SAID] * 4, "max_messages"), ([SAID, seen(1), seen(2)], "max_images")]
)
async def test_more_than_the_limit_asked_of_langserve(
    narrow: Running, path: str, messages: list[dict[str, Any]], setting: str
) -> None:
    """Its routes took as many as the body held."""
    question = {"messages": [{"type": "human", "content": message["content"]} for message in messages]}
    body = {"inputs": [{"messages": []}, question]} if path.endswith("batch") else {"input": question}
    answer = await narrow.http.post(path, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "messages")
    assert f"server.{setting}" in answer.json()["error"]["message"]


async def test_as_much_as_the_limit(narrow: Running) -> None:
    body = {"model": "auto", "messages": [SAID, SAID, seen(2)], "tools": [TOOL, TOOL]}
    assert (await narrow.http.post("/v1/chat/completions", json=body)).status_code == 200


@pytest.mark.parametrize("messages", [5, "a", {"a": []}, [5], [[]], [{"content": 5}], [{"content": ["a", None]}]])
async def test_odd_shapes_are_left_to_validation(narrow: Running, messages: Any) -> None:
    answer = await narrow.http.post("/v1/chat/completions", json={"model": "auto", "messages": messages, "tools": 5})
    assert answer.status_code == 400
    assert "server." not in answer.json()["error"]["message"]


async def test_a_type_that_is_no_text(narrow: Running) -> None:
    """It was looked up in a set, which is a 500 for what cannot be hashed."""
    messages = [{"role": "user", "content": [{"type": {}, "text": "a"}]}]
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/messages/count_tokens"):
        answer = await narrow.http.post(path, json={"model": "auto", "max_tokens": 5, "messages": messages})
        assert answer.status_code == 400, path
    answer = await narrow.http.post("/v1/responses", json={"model": "auto", "input": [{"type": [], "role": "user"}]})
    assert answer.status_code == 400

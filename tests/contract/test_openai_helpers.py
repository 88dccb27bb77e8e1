"""The helpers of the `openai` package that put answers together: parsing into a model, and streams as events."""

from typing import Any

import openai as sdk
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from tests.support.scripted_ollama import Reply
from tests.support.service import MODEL, Running

pytestmark = pytest.mark.asyncio(loop_scope="module")
HELLO: Any = [{"role": "user", "content": "how many?"}]


class Count(BaseModel):
    n: int


async def test_parses_an_answer_into_a_model(running: Running, openai: AsyncOpenAI) -> None:
    for completions in (openai.chat.completions, openai.beta.chat.completions):
        running.ollama.script(Reply.text('{"n"', ": 3}"))
        answer = await completions.parse(model=MODEL, messages=HELLO, response_format=Count)
        assert answer.choices[0].message.parsed == Count(n=3)
        assert running.ollama.chats[-1]["format"]["properties"].keys() == {"n"}


async def test_parses_the_arguments_of_a_call(running: Running, openai: AsyncOpenAI) -> None:
    running.ollama.script(Reply.tool_calls(("Count", {"n": 3})))
    tool = sdk.pydantic_function_tool(Count)
    answer = await openai.chat.completions.parse(model=MODEL, messages=HELLO, tools=[tool])
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.function.parsed_arguments == Count(n=3)


async def test_streams_as_events_and_ends_with_the_whole_answer(running: Running, openai: AsyncOpenAI) -> None:
    running.ollama.script(Reply.text('{"n"', ": 3}").counts(prompt=5, answer=2))
    options: Any = {"include_usage": True}
    async with openai.chat.completions.stream(
        model=MODEL, messages=HELLO, response_format=Count, stream_options=options
    ) as stream:
        kinds = {event.type async for event in stream}
        final = await stream.get_final_completion()
    assert kinds >= {"chunk", "content.delta", "content.done"}
    assert final.choices[0].message.parsed == Count(n=3)
    assert final.usage is not None
    assert final.usage.total_tokens == 7


@pytest.mark.parametrize("reply", [Reply.text("a", thinking=("b",)), Reply.tool_calls(("f", {}))])
async def test_answers_fit_the_sdks_own_models(running: Running, reply: Reply) -> None:
    running.ollama.script(reply)
    tool = {"type": "function", "function": {"name": "f"}}
    answer = await running.chat("how many?", tools=[tool])
    ChatCompletion.model_validate(answer.json(), strict=True)

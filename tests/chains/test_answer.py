from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.outputs import ChatGenerationChunk

from chains.answer import AnswerRequest, stream_answer
from chains.events import AnswerEvent, Finished, ReasoningDelta, TextDelta, Timings, ToolCallMade, Usage
from chains.turn import Sampling, ToolChoice
from config.errors import ModelTimeout, UpstreamBroken
from tests.chains.chain_support import DONE, OTHER_TOOL, TOOL, answer_request, call, chunk, events_of, model, person

COUNTS = {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}


async def arguments_of(asked: AnswerRequest, *, answer: str = "ok") -> dict[str, Any]:
    made = model(chunk(answer), chunk(told=DONE))
    await events_of(made, asked)
    return made.calls[0]


async def test_text_reasoning_counts_and_durations() -> None:
    told = DONE | {
        "load_duration": 2_000_000_000,
        "prompt_eval_duration": 500_000_000,
        "eval_duration": 1_000_000_000,
        "prompt_eval_cached_count": 7,
    }
    made = model(chunk(thinking="hm"), chunk("Hel"), chunk("lo"), chunk(told=told, usage_metadata=COUNTS))
    assert await events_of(made) == [
        ReasoningDelta("hm"),
        TextDelta("Hel"),
        TextDelta("lo"),
        Finished("stop", Usage(9, 4, 7), Timings(2.0, 0.5, 1.0)),
    ]
    assert made.asked == [[HumanMessage("hello")]]


async def test_counts_and_durations_are_left_out_where_they_were_not_told() -> None:
    assert await events_of(model(chunk("a"), chunk(told=DONE | {"load_duration": 1}))) == [
        TextDelta("a"),
        Finished("stop", None, None),
    ]


async def test_tool_calls_are_whole_numbered_and_verbatim() -> None:
    args = {"path": '{"not": "an object"}', "lines": [1, 2], "größe": None}
    made = model(chunk("I look"), call("read_file", args), call("list_files", {}), chunk(told=DONE))
    _, first, second, end = await events_of(made, answer_request(person("x", tools=(TOOL, OTHER_TOOL))))
    assert isinstance(first, ToolCallMade)
    assert (first.index, first.id, first.name, json.loads(first.arguments)) == (0, "call_0", "read_file", args)
    assert second == ToolCallMade(1, "call_1", "list_files", "{}")
    assert end == Finished("tool_calls", None, None)


async def test_an_answer_cut_by_its_limit_says_so() -> None:
    end = chunk(told={"done": True, "done_reason": "length"})
    assert (await events_of(model(chunk("a"), end)))[-1] == Finished("length", None, None, "answer_limit")
    asked = answer_request(person("x", tools=(TOOL,)))
    assert (await events_of(model(call("read_file", {}), end), asked))[-1] == Finished(
        "length", None, None, "answer_limit"
    )


@pytest.mark.parametrize("chunks", [[chunk("a")], [chunk("a"), call("f", {})], [chunk("a", told={"created_at": "x"})]])
async def test_an_answer_without_its_end_mark_is_broken(chunks: Sequence[ChatGenerationChunk]) -> None:
    made = model(*chunks)
    with pytest.raises(UpstreamBroken, match="without its end mark"):
        await events_of(made)
    assert made.closed == [True]


async def test_the_models_own_error_comes_through_after_what_was_said() -> None:
    seen: list[AnswerEvent] = []
    error = ModelTimeout("silent")
    with pytest.raises(ModelTimeout) as caught:  # noqa: PT012 - what came before the error is looked at
        async for event in stream_answer(model(chunk("a"), error), answer_request()):
            seen.append(event)  # noqa: PERF401 - what came before the error is kept
    assert caught.value is error
    assert seen == [TextDelta("a")]


async def test_leaving_the_events_closes_the_models_stream() -> None:
    made = model(chunk("a"), chunk("b"), chunk(told=DONE))
    events = stream_answer(made, answer_request())
    assert await anext(events) == TextDelta("a")
    assert made.closed == []
    await events.aclose()
    assert made.closed == [True]


async def test_the_clients_sampling_goes_over_the_roles_options() -> None:
    sampling = Sampling(temperature=0.9, top_p=0.5, seed=3, stop=("END",))
    assert (await arguments_of(answer_request(person("x", sampling=sampling))))["options"] == {
        "num_ctx": 8192,
        "temperature": 0.9,
        "top_p": 0.5,
        "seed": 3,
        "stop": ["END"],
        "num_predict": 777,
    }
    assert await arguments_of(answer_request()) == {
        "options": {"num_ctx": 8192, "temperature": 0.2, "num_predict": 777}
    }


async def test_tools_are_sent_when_offered() -> None:
    assert (await arguments_of(answer_request(person("x", tools=(TOOL,)))))["tools"] == [TOOL]
    assert "tools" not in await arguments_of(answer_request(person("x", tools=(TOOL,), tool_choice=ToolChoice("none"))))


@pytest.mark.parametrize("schema", ["json", {"type": "object"}])
async def test_an_answer_schema_is_sent_as_format(schema: Any) -> None:
    assert (await arguments_of(answer_request(person("x", answer_schema=schema))))["format"] == schema


@pytest.mark.parametrize(
    ("thinks", "default", "asked", "sent"),
    [
        (False, None, None, None),
        (False, True, True, None),
        (False, None, False, None),
        (True, None, None, None),
        (True, False, None, False),
        (True, False, True, True),
        (True, True, False, False),
        (True, None, True, True),
    ],
)
async def test_only_models_that_think_are_told_whether_to(
    thinks: bool, default: bool | None, asked: bool | None, sent: bool | None
) -> None:
    turn = person("x", sampling=Sampling(think=asked))
    assert (await arguments_of(answer_request(turn, thinks=thinks, think=default))).get("reasoning") is sent

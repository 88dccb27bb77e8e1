"""What becomes of an answer that is not as the protocol has it: calls that were asked for, repairs, nothing at all."""

from __future__ import annotations

from typing import Any

import pytest

from chains.answer import stream_answer
from chains.events import AnswerEvent, Finished, ReasoningDelta, TextDelta, ToolCallMade, Usage
from chains.turn import Sampling, ToolChoice
from config.errors import EmptyAnswer, ToolCallMissing, UpstreamBroken
from tests.chains.chain_support import (
    DONE,
    OTHER_TOOL,
    TOOL,
    ChunkModel,
    answer_request,
    call,
    chunk,
    events_of,
    model,
    person,
)

COUNTS = {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}


class TestForcedCalls:
    """`tool_choice` "required" or a named tool."""

    turn = person("x", tools=(TOOL, OTHER_TOOL), tool_choice=ToolChoice("required", "read_file"))
    text = '{"name": "read_file", "arguments": {"path": "a"}}'

    async def test_the_answer_is_bound_and_becomes_a_call(self) -> None:
        made = model(chunk(self.text[:10]), chunk(self.text[10:]), chunk(told=DONE))
        assert await events_of(made, answer_request(self.turn)) == [
            ToolCallMade(0, "call_0", "read_file", '{"path":"a"}'),
            Finished("tool_calls", None, None),
        ]
        assert made.calls[0]["format"]["properties"]["name"] == {"const": "read_file"}
        assert made.calls[0]["tools"] == [TOOL, OTHER_TOOL]

    async def test_a_call_made_by_itself_is_taken(self) -> None:
        made = model(chunk("I call"), call("read_file", {"path": "a"}), chunk(told=DONE))
        assert await events_of(made, answer_request(self.turn)) == [
            ToolCallMade(0, "call_0", "read_file", '{"path":"a"}'),
            Finished("tool_calls", None, None),
        ]

    async def test_reasoning_is_passed_on(self) -> None:
        made = model(chunk(thinking="hm"), chunk(self.text), chunk(told=DONE))
        assert (await events_of(made, answer_request(self.turn)))[0] == ReasoningDelta("hm")

    async def test_text_that_is_no_call_is_broken(self) -> None:
        with pytest.raises(ToolCallMissing, match="did not make the tool call"):
            await events_of(model(chunk("Sure!"), chunk(told=DONE)), answer_request(self.turn))

    async def test_half_a_call_at_the_limit_is_never_passed_on(self) -> None:
        end = chunk(told={"done": True, "done_reason": "length"})
        assert await events_of(model(chunk(self.text[:20]), end), answer_request(self.turn)) == [
            Finished("length", None, None, "answer_limit")
        ]


class TestRepairs:
    """What models write otherwise than the protocol has it; each repair is told with the end."""

    tools = (TOOL, OTHER_TOOL)
    text = '{"name": "read_file", "arguments": {"path": "a"}}'

    async def repaired(self, made: ChunkModel, **changes: Any) -> list[AnswerEvent]:
        return await events_of(made, answer_request(person("x", **{"tools": self.tools, **changes})))

    async def test_calls_in_the_text_become_calls(self) -> None:
        made = model(chunk("I look.\n\n```js"), chunk(f"on\n{self.text}"), chunk("\n```\n"), chunk(told=DONE))
        assert await self.repaired(made) == [
            TextDelta("I look.\n\n"),
            ToolCallMade(0, "call_0", "read_file", '{"path":"a"}'),
            Finished("tool_calls", None, None, repairs=("tool_call_in_text",)),
        ]

    async def test_only_where_tools_were_offered(self) -> None:
        """Cline's older bundle offers none and describes them in its prompt: its tags are its own."""
        for changes in ({"tools": ()}, {"tool_choice": ToolChoice("none")}):
            events = await self.repaired(model(chunk(self.text), chunk(told=DONE)), **changes)
            assert events == [TextDelta(self.text), Finished("stop", None, None)]

    async def test_half_a_call_at_the_limit_stays_text(self) -> None:
        made = model(chunk(self.text), chunk(self.text[:-2]), chunk(told={"done": True, "done_reason": "length"}))
        assert await self.repaired(made) == [
            ToolCallMade(0, "call_0", "read_file", '{"path":"a"}'),
            TextDelta(self.text[:-2]),
            Finished("length", None, None, "answer_limit", repairs=("tool_call_in_text",)),
        ]

    async def test_a_broken_stream_gives_out_nothing_of_what_was_held(self) -> None:
        seen: list[AnswerEvent] = []
        with pytest.raises(UpstreamBroken):  # noqa: PT012 - what came before the error is looked at
            async for event in stream_answer(
                model(chunk(self.text[:-1])), answer_request(person("x", tools=self.tools))
            ):
                seen.append(event)  # noqa: PERF401 - what came before the error is kept
        assert seen == []

    async def test_arguments_are_coerced_also_in_calls_that_the_server_read(self) -> None:
        tool = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}}}
        made = model(call("f", {"n": "5"}), call("f", {"n": "five"}), call("g", {}), chunk(told=DONE))
        assert await self.repaired(made, tools=(tool,)) == [
            ToolCallMade(0, "call_0", "f", '{"n":5}'),
            ToolCallMade(1, "call_1", "f", '{"n":"five"}'),
            ToolCallMade(2, "call_2", "g", "{}"),
            Finished("tool_calls", None, None, repairs=("arguments_coerced",)),
        ]

    async def test_one_call_where_only_one_may_be_made(self) -> None:
        for chunks in ([chunk(f"{self.text}\n{self.text}")], [call("read_file", {"path": "a"})] * 2):
            events = await self.repaired(model(*chunks, chunk(told=DONE)), one_call=True)
            assert [type(event) for event in events] == [ToolCallMade, Finished]
            assert isinstance(events[-1], Finished)
            assert events[-1].repairs[-1] == "call_dropped"

    async def test_no_call_where_none_may_be_made(self) -> None:
        made = model(chunk("text"), call("read_file", {"path": "a"}), chunk(told=DONE))
        events = await self.repaired(made, tool_choice=ToolChoice("none"))
        assert events == [TextDelta("text"), Finished("stop", None, None, repairs=("call_dropped",))]

    async def test_no_other_call_than_the_one_that_must_be_made(self) -> None:
        made = model(call("list_files", {}), chunk(self.text), chunk(told=DONE))
        events = await self.repaired(made, tool_choice=ToolChoice("required", "read_file"))
        assert events == [
            ToolCallMade(0, "call_0", "read_file", '{"path":"a"}'),
            Finished("tool_calls", None, None, repairs=("call_dropped",)),
        ]

    async def test_thinking_in_the_text_is_parted_off(self) -> None:
        made = model(chunk("<thi"), chunk("nk>hm</think>\n\n"), chunk(self.text), chunk(told=DONE))
        assert await self.repaired(made) == [
            ReasoningDelta("hm"),
            ToolCallMade(0, "call_0", "read_file", '{"path":"a"}'),
            Finished("tool_calls", None, None, repairs=("tool_call_in_text", "thinking_in_text")),
        ]

    async def test_thinking_whose_opening_tag_stood_in_the_prompt(self) -> None:
        turn = person("x", sampling=Sampling(think=True))
        chunks = (chunk("hm"), chunk("</think>42"), chunk(told=DONE))
        assert await events_of(model(*chunks), answer_request(turn, thinks=True)) == [
            ReasoningDelta("hm"),
            TextDelta("42"),
            Finished("stop", None, None, repairs=("thinking_in_text",)),
        ]
        untouched = [TextDelta("hm"), TextDelta("</think>42"), Finished("stop", None, None)]
        assert await events_of(model(*chunks), answer_request(turn)) == untouched
        parted = model(chunk(thinking="so"), *chunks)
        assert (await events_of(parted, answer_request(turn, thinks=True)))[1:] == untouched

    async def test_a_stop_text_ends_the_answer_where_the_server_goes_on(self) -> None:
        made = model(chunk("one E"), chunk("ND two"), chunk("three"), chunk(told=DONE))
        assert await self.repaired(made, sampling=Sampling(stop=("END",))) == [
            TextDelta("one "),
            Finished("stop", None, None, repairs=("stop_text_cut",)),
        ]
        assert made.closed == [True]


class TestEmptyAnswers:
    """Cline's older bundle gives up at an empty answer, its newer one takes thinking alone for a success."""

    async def test_it_is_asked_for_once_more_without_thinking(self) -> None:
        made = model(chunk(thinking="hm"), chunk(" \n"), chunk(told=DONE))
        made.then = [chunk("42"), chunk(told=DONE, usage_metadata=COUNTS)]
        asked = answer_request(person("x", sampling=Sampling(think=True)), thinks=True)
        assert await events_of(made, asked) == [
            ReasoningDelta("hm"),
            TextDelta("42"),
            Finished("stop", Usage(9, 4), None, repairs=("asked_again",)),
        ]
        assert [each["reasoning"] for each in made.calls] == [True, False]
        assert made.asked[0] == made.asked[1]

    @pytest.mark.parametrize("choice", ["auto", "required"])
    async def test_twice_nothing_is_an_error(self, choice: Any) -> None:
        made = model(chunk(told=DONE))
        with pytest.raises(EmptyAnswer, match="twice"):
            await events_of(made, answer_request(person("x", tools=(TOOL,), tool_choice=ToolChoice(choice))))
        assert len(made.calls) == 2

    @pytest.mark.parametrize(
        ("end", "sampling"),
        [({"done": True, "done_reason": "length"}, Sampling()), (DONE, Sampling(stop=("\n",)))],
    )
    async def test_a_limit_or_a_stop_text_explains_it(self, end: dict[str, Any], sampling: Sampling) -> None:
        made = model(chunk(thinking="hm"), chunk(told=end))
        events = await events_of(made, answer_request(person("x", sampling=sampling)))
        reason, limit = ("stop", None) if end is DONE else ("length", "answer_limit")
        assert events == [ReasoningDelta("hm"), Finished(reason, None, None, limit)]  # type: ignore[arg-type]
        assert len(made.calls) == 1

"""Reads a model's answer to one call: thinking, words and tool calls, also where they stand in the text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from langchain_core.messages import AIMessageChunk

from backends.json_bytes import json_bytes
from chains.events import (
    AnswerEvent,
    Finished,
    FinishReason,
    ReasoningDelta,
    Repair,
    TextDelta,
    Timings,
    ToolCallMade,
    Usage,
)
from chains.forced_calls import allowed_tools, read_calls
from chains.text_reading import Read, TextReader
from chains.tool_arguments import FittingCall, Toolbox
from chains.turn import Turn
from config.errors import ToolCallMissing, UpstreamBroken

NANOSECONDS = 1e-9
BLANKS = " \t\r\n"


class AnswerReader:
    """Takes a model's chunks in order, then `end` once; both give events, and `finished` tells how it ended.

    `thinks` tells that the model was asked to think.
    """

    def __init__(self, turn: Turn, *, thinks: bool, new_id: Callable[[], str]) -> None:
        self._turn = turn
        self._thinks = thinks
        self._new_id = new_id
        self._must_call = turn.offers_tools and turn.tool_choice.kind == "required"
        self._toolbox = Toolbox(allowed_tools(turn.tools, turn.tool_choice) if turn.offers_tools else ())
        self._text: TextReader | None = None
        self._blanks = ""
        self._bound: list[str] = []
        self._spoke = False
        self._calls = 0
        self._repairs: list[Repair] = []
        self._last: AIMessageChunk | None = None

    @property
    def stopped(self) -> bool:
        """Whether one of the client's stop texts has come: nothing more counts."""
        return self._text is not None and self._text.stopped

    @property
    def is_empty(self) -> bool:
        """Whether the whole answer has neither words nor calls, and no limit or stop text explains that."""
        return not (self._spoke or self._calls or self._was_cut or self._turn.sampling.stop)

    @property
    def _was_cut(self) -> bool:
        return self._last is not None and self._last.response_metadata.get("done_reason") == "length"

    def take(self, chunk: AIMessageChunk) -> Iterator[AnswerEvent]:
        """What is certain after a chunk."""
        if reasoning := chunk.additional_kwargs.get("reasoning_content"):
            self._thinks = False  # the server parts it off: none is in the text
            yield ReasoningDelta(str(reasoning))
        if text := chunk.content if isinstance(chunk.content, str) else str(chunk.text):
            yield from self._events((self._text or self._text_reader()).feed(text))
        for call in chunk.tool_calls:
            yield from self._rest_of_text()
            yield from self._native_call(call["name"], call["args"])
        if "done_reason" in chunk.response_metadata or chunk.response_metadata.get("done"):
            self._last = chunk

    def end(self) -> Iterator[AnswerEvent]:
        """The rest; raises `UpstreamBroken` without its end mark, `ToolCallMissing` without a call it had to be."""
        if self._last is None and not self.stopped:
            raise UpstreamBroken("The model's answer ended without its end mark: try again.")
        stopped = self.stopped
        yield from self._rest_of_text()
        if stopped:
            self._repairs.append("stop_text_cut")
        bound = "".join(self._bound)
        if bound.strip(BLANKS) and not self._calls and not self._was_cut:
            calls = read_calls(bound, self._turn.tools, self._turn.tool_choice)
            if not calls:
                raise ToolCallMissing("The model did not make the tool call that tool_choice asks for: try again.")
            for call in calls:
                yield from self._call(call)

    def finished(self, repairs: Iterable[Repair] = ()) -> Finished:
        """How the answer ended; `repairs` were made before it was asked for."""
        reason: FinishReason = "length" if self._was_cut else "tool_calls" if self._calls else "stop"
        told = self._last or AIMessageChunk(content="")
        return Finished(reason, _usage(told), _timings(told.response_metadata), repairs=(*repairs, *self._repairs))

    def _text_reader(self) -> TextReader:
        if self._text is None:
            toolbox = self._toolbox if self._turn.offers_tools and not self._must_call else None
            self._text = TextReader(toolbox, self._turn.sampling.stop, thinking_opened=self._thinks)
        return self._text

    def _rest_of_text(self) -> Iterator[AnswerEvent]:
        if self._text is not None:
            yield from self._events(self._text.finish())
            if self._text.found_thinking:
                self._repairs.append("thinking_in_text")
            self._text = None

    def _events(self, read: Iterable[Read]) -> Iterator[AnswerEvent]:
        for each in read:
            if isinstance(each, ReasoningDelta):
                yield each
            elif isinstance(each, str):
                if delta := self._words(each):
                    yield delta
            else:
                for call in each.calls:
                    self._repairs.append("tool_call_in_text")
                    yield from self._call(call)

    def _words(self, text: str) -> TextDelta | None:
        """Blanks that lead up to nothing are no answer, and text beside a call that was asked for is none either."""
        if self._must_call:
            self._bound.append(text)
        elif self._spoke or text.strip(BLANKS):
            self._spoke = True
            words, self._blanks = self._blanks + text, ""
            return TextDelta(words)
        else:
            self._blanks += text
        return None

    def _native_call(self, name: str, arguments: Mapping[str, Any]) -> Iterator[ToolCallMade]:
        if not self._turn.offers_tools or (self._must_call and name not in self._toolbox.names):
            self._repairs.append("call_dropped")
            return
        # One that does not fit is the client's to refuse: it tells the model what is wrong.
        yield from self._call(self._toolbox.fit(name, arguments) or FittingCall(name, json_bytes(arguments).decode()))

    def _call(self, call: FittingCall) -> Iterator[ToolCallMade]:
        if self._calls and self._turn.one_call:
            self._repairs.append("call_dropped")
            return
        if call.coerced:
            self._repairs.append("arguments_coerced")
        yield ToolCallMade(self._calls, self._new_id(), call.name, call.arguments)
        self._calls += 1


def _usage(told: AIMessageChunk) -> Usage | None:
    if not told.usage_metadata:
        return None
    cached = told.response_metadata.get("prompt_eval_cached_count")
    return Usage(
        prompt_tokens=told.usage_metadata["input_tokens"],
        answer_tokens=told.usage_metadata["output_tokens"],
        cached_tokens=cached if isinstance(cached, int) else None,
    )


def _timings(told: Mapping[str, Any]) -> Timings | None:
    durations = [told.get(key) for key in ("load_duration", "prompt_eval_duration", "eval_duration")]
    if not all(isinstance(value, int) for value in durations):
        return None
    return Timings(*(value * NANOSECONDS for value in durations if isinstance(value, int)))

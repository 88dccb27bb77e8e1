"""`POST /api/chat`: one request in, Ollama's NDJSON lines or one JSON object out."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

from backends.embedded.chat_request import ChatRequest, parse_chat_request, parse_object
from backends.embedded.fit import fit_prompt
from backends.embedded.llama import Completed
from backends.embedded.model import LoadedModel, timestamp
from backends.embedded.prompt import render_prompt
from backends.embedded.replies import ApiError, JsonReply, LinesReply
from backends.embedded.tool_calls import Event, ToolCall, ToolCallRecogniser

Line = dict[str, Any]


class Chat:
    """The handler; requests that come while another runs wait in llama-server's queue."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model

    async def chat(self, body: bytes) -> JsonReply | LinesReply:
        """Raises `ApiError` 400 or 404 before anything is generated."""
        started_ns = time.perf_counter_ns()
        request = parse_chat_request(parse_object(body))
        self._model.check_name(request.model)
        if not request.messages:
            return JsonReply(self._load_or_unload(request, started_ns))
        lines = self._answer(request, started_ns)
        return LinesReply(lines) if request.stream else JsonReply(await _joined(lines))

    async def count(self, body: bytes) -> JsonReply:
        """`POST /api/tokenize`, which Ollama does not have: how many tokens the prompt of such a chat would take."""
        request = parse_chat_request(parse_object(body))
        self._model.check_name(request.model)
        if not request.messages:
            return JsonReply({"count": 0})
        tokens = await self._model.llama.tokenize(render_prompt(request.messages, request.tools))
        return JsonReply({"count": len(tokens)})

    def _load_or_unload(self, request: ChatRequest, started_ns: int) -> Line:
        if request.keep_alive_s == 0:
            self._model.residency.unload()
            reason = "unload"
        else:
            self._model.residency.begin(request.keep_alive_s)
            self._model.residency.end()
            reason = "load"
        total_ns = time.perf_counter_ns() - started_ns
        return _line(request, done=True) | {
            "done_reason": reason,
            "total_duration": total_ns,
            "load_duration": 0,
        }

    async def _answer(self, request: ChatRequest, started_ns: int) -> AsyncGenerator[Line, None]:
        self._model.residency.begin(request.keep_alive_s)
        try:
            body = await self._completion_body(request)
            recogniser = ToolCallRecogniser(tool["function"]["name"] for tool in request.tools)
            text: list[str] = []
            async with aclosing(self._model.llama.complete(body)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Completed):
                        _check_format(request, "".join(text), piece)
                        if request.tools:
                            for line in _event_lines(request, recogniser.finish()):
                                yield line
                        yield _last_line(request, piece, started_ns)
                        return
                    text.append(piece)
                    events = recogniser.feed(piece) if request.tools else iter((piece,))
                    for line in _event_lines(request, events):
                        yield line
        finally:
            self._model.residency.end()

    async def _completion_body(self, request: ChatRequest) -> dict[str, Any]:
        loaded = self._model.window_tokens
        window_tokens = min(request.options.window_tokens or loaded, loaded)
        prompt = await fit_prompt(
            request.messages,
            request.tools,
            window_tokens=window_tokens,
            truncate=request.truncate,
            tokenize=self._model.llama.tokenize,
        )
        room = window_tokens - len(prompt)
        wanted = request.options.num_predict
        body: dict[str, Any] = {
            **request.options.sampling,
            "prompt": prompt,
            "n_predict": room if wanted < 0 else min(wanted, room),
            "stop": request.options.stop,
            "cache_prompt": True,
        }
        return body if request.schema is None else body | {"json_schema": request.schema}


async def _joined(lines: AsyncGenerator[Line, None]) -> Line:
    content: list[str] = []
    calls: list[Line] = []
    last: Line = {}
    async with aclosing(lines):
        async for line in lines:
            content.append(line["message"]["content"])
            calls.extend(line["message"].get("tool_calls", ()))
            last = line
    message: Line = {"role": "assistant", "content": "".join(content)}
    return last | {"message": message | ({"tool_calls": calls} if calls else {})}


def _event_lines(request: ChatRequest, events: Iterator[Event]) -> Iterator[Line]:
    for event in events:
        if isinstance(event, ToolCall):
            yield _line(request, tool_call=event)
        else:
            yield _line(request, content=event)


def _line(request: ChatRequest, *, content: str = "", tool_call: ToolCall | None = None, done: bool = False) -> Line:
    message: Line = {"role": "assistant", "content": content}
    if tool_call is not None:
        message["tool_calls"] = [{"function": {"name": tool_call.name, "arguments": tool_call.arguments}}]
    return {"model": request.model, "created_at": timestamp(), "message": message, "done": done}


def _last_line(request: ChatRequest, completed: Completed, started_ns: int) -> Line:
    return _line(request, done=True) | {
        "done_reason": completed.done_reason,
        "total_duration": time.perf_counter_ns() - started_ns,
        # The weights are mapped before the first request is accepted.
        "load_duration": 0,
        "prompt_eval_count": completed.prompt_tokens,
        "prompt_eval_cached_count": completed.cached_tokens,
        "prompt_eval_duration": completed.prompt_ns,
        "eval_count": completed.answer_tokens,
        "eval_duration": completed.answer_ns,
    }


def _check_format(request: ChatRequest, text: str, completed: Completed) -> None:
    """llama.cpp only logs a schema it cannot enforce, then generates freely; that must not pass for JSON."""
    if request.schema is None or completed.done_reason != "stop" or request.options.stop:
        return
    try:
        json.loads(text)
    except ValueError as exc:
        raise ApiError(500, "the schema in format could not be enforced: the answer is not JSON") from exc

"""From a validated OpenAI request to a Turn. Pure: the same request always gives the same Turn."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage

from chains.instructions import instructions_placed
from chains.marks import find_mark, without_marks
from chains.turn import Sampling, ToolChoice, Turn
from config.schema import MODES, Mode
from wire.body import nests_too_deep
from wire.cline import Dialect, understand, without_marks_of_person
from wire.openai_messages import (
    AssistantTurn,
    ImagePart,
    Message,
    Part,
    RefusalPart,
    SystemTurn,
    TextPart,
    ToolTurn,
    UserTurn,
)
from wire.openai_request import AllowedToolsChoice, ChatRequest, NamedTool

SESSION_HEADERS = ("x-session-id", "x-session-affinity")
WORKSPACE_HEADER = "x-workspace"
EXPLAIN_HEADER = "x-router-explain"
MAX_SESSION_CHARS = 128
_YES = {"1", "true"}


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A Turn and how its answer is to be written; `explain`: the first chunk, or the body, tells the decision."""

    turn: Turn
    dialect: Dialect
    stream: bool
    include_usage: bool
    explain: bool


def parse_turn(request: ChatRequest, headers: Mapping[str, str]) -> ParsedRequest:
    """Understand a request; `headers` by lower-case name."""
    offered = tuple(tool.as_sent() for tool in request.tools or [])
    messages = instructions_placed(list(_messages(request.messages)))
    seen = understand(messages, [tool["function"]["name"] for tool in offered])
    metadata = request.metadata or {}
    workspace = _utf8(headers.get(WORKSPACE_HEADER)) or _text(metadata.get("workspace")) or seen.workspace
    turn = Turn(
        messages=tuple(without_marks_of_person(message, seen.dialect) for message in messages),
        person_text=without_marks(seen.person_text),
        person_index=seen.person_index,
        from_machine=seen.from_machine,
        mode=seen.mode if seen.mode != "none" else _mode(metadata),
        workspace=Path(workspace) if workspace and "\0" not in workspace else None,
        wants_memory=seen.is_task and not (seen.dialect == "cline_sdk" and not workspace),
        is_errand=not seen.is_task,
        model=request.model,
        tools=_tools(offered, request),
        tool_choice=_tool_choice(request),
        one_call=request.parallel_tool_calls is False,
        sampling=_sampling(request),
        answer_schema=request.answer_form,
        session=_session(headers, metadata),
        mark=find_mark(seen.person_text),
        previous_text=without_marks(seen.previous_text),
    )
    return ParsedRequest(
        turn=turn,
        dialect=seen.dialect,
        stream=bool(request.stream),
        include_usage=bool(request.stream_options and request.stream_options.include_usage),
        explain=headers.get(EXPLAIN_HEADER, "") in _YES or metadata.get("router_explain") in (True, "true", "1"),
    )


def _messages(messages: Iterable[Message]) -> Iterator[BaseMessage]:
    """Each as one; images that tools gave stand behind the results, as a model sees them in a user's message only."""
    for is_result, group in groupby(messages, lambda message: isinstance(message, ToolTurn)):
        told = list(group)
        yield from map(_message, told)
        if is_result and (images := [image for message in told for image in _images(message.content)]):
            yield HumanMessage(content=images)


def _message(message: Message) -> BaseMessage:
    match message:
        case SystemTurn():
            return SystemMessage(content=_joined(message.content))
        case UserTurn():
            return HumanMessage(content=_user_content(message.content))
        case AssistantTurn():
            calls = [
                ToolCall(
                    type="tool_call",
                    id=call.id,
                    name=call.function.name,
                    args=_arguments(call.function.arguments),
                )
                for call in message.tool_calls or []
            ]
            reasoning = message.reasoning_content or message.reasoning
            kept = {"reasoning_content": reasoning} if reasoning else {}
            content = _joined(message.content or message.refusal or "")
            return AIMessage(content=content, tool_calls=calls, additional_kwargs=kept)
        case ToolTurn():
            return ToolMessage(content=_joined(message.content or ""), tool_call_id=message.tool_call_id)


def _joined(content: str | Sequence[TextPart | RefusalPart | ImagePart]) -> str:
    """Text parts as one string, with nothing added between them."""
    if isinstance(content, str):
        return content
    return "".join(part.text for part in content if not isinstance(part, ImagePart))


def _user_content(content: str | Sequence[TextPart | ImagePart]) -> str | list[str | dict[Any, Any]]:
    if isinstance(content, str) or not _images(content):
        return _joined(content)
    return [{"type": "text", "text": part.text} if isinstance(part, TextPart) else _image(part) for part in content]


def _images(content: str | Sequence[Part] | None) -> list[str | dict[Any, Any]]:
    return [] if isinstance(content, str) else [_image(part) for part in content or () if isinstance(part, ImagePart)]


def _image(part: ImagePart) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": part.image_url.url}}


def _arguments(text: str) -> dict[str, Any]:
    """A call's arguments; what is no JSON object is kept as it is under one key, as no message may be dropped."""
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {"arguments": text}
    if nests_too_deep(arguments):
        return {"arguments": text}
    return arguments if isinstance(arguments, dict) else {"arguments": arguments}


def _tools(offered: tuple[dict[str, Any], ...], request: ChatRequest) -> tuple[dict[str, Any], ...]:
    """The tools that the model is shown: where only some may be called, these."""
    if not isinstance(request.tool_choice, AllowedToolsChoice):
        return offered
    allowed = {tool.function.name for tool in request.named_tools}
    return tuple(tool for tool in offered if tool["function"]["name"] in allowed)


def _tool_choice(request: ChatRequest) -> ToolChoice:
    match request.tool_choice:
        case NamedTool(function=function):
            return ToolChoice("required", function.name)
        case AllowedToolsChoice(allowed_tools=allowed):
            return ToolChoice(allowed.mode)
        case mode:
            return ToolChoice(mode or "auto")


def _sampling(request: ChatRequest) -> Sampling:
    effort = request.reasoning_effort
    return Sampling(
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        seed=request.seed,
        stop=request.stops,
        answer_limit_tokens=request.max_completion_tokens or request.max_tokens,
        think=None if effort is None else effort not in {"none", "minimal"},
    )


def _mode(metadata: Mapping[str, Any]) -> Mode:
    """The mode that a client names which is no dialect of Cline's."""
    named = metadata.get("mode")
    return next((mode for mode in MODES if mode == named), "none")


def _session(headers: Mapping[str, str], metadata: Mapping[str, Any]) -> str | None:
    named = next((headers[name] for name in SESSION_HEADERS if headers.get(name)), None)
    session = named or _text(metadata.get("session_id"))
    return session[:MAX_SESSION_CHARS] if session else None


def _utf8(header: str | None) -> str | None:
    """A header's text: HTTP hands it over as Latin-1, clients mean UTF-8."""
    if not header:
        return None
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None

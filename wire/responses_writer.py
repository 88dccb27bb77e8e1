"""Writes an answer as OpenAI's response, whole or as its events. Source: OpenAI's API reference, responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chains.events import Finished, RouterEvent, Usage
from config.errors import RouterError
from wire.chunks import Stamp
from wire.errors import error_row
from wire.responses_request import ResponsesRequest
from wire.responses_tools import own_names
from wire.segments import Segment, joined, segment_of, segments
from wire.sse import HEARTBEAT, encode_event
from wire.writer import Explanation

Json = dict[str, Any]


class ResponsesWriter:
    """Writes one response; keeps its output, as the last event repeats all of it."""

    heartbeat = HEARTBEAT

    def __init__(self, stamp: Stamp, asked: ResponsesRequest) -> None:
        self._stamp = stamp
        self._asked = asked
        self._own_names = own_names(asked.tools or [])
        self._closed: list[Segment] = []
        self._open: list[Segment] = []  # the pieces of the item that is being written
        self._number = 0
        self._finished: Finished | None = None

    def opened(self, explanation: Explanation) -> bytes:
        response = self._response("in_progress") | ({"router": explanation} if explanation else {})
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def event(self, event: RouterEvent) -> bytes:
        piece = segment_of(event)
        if piece is None:
            return b""
        if self._open and not piece.call and self._open[-1].kind == piece.kind:
            self._open.append(piece)
            return self._delta(piece)
        begun = self._close_item()
        self._open = [piece]
        return begun + self._open_item(piece) + self._delta(piece)

    def ended(self, finished: Finished) -> bytes:
        self._finished = finished
        return self._close_item()

    def closed(self) -> bytes:
        status = self._status()
        return self._event(f"response.{status}", response=self._response(status))

    def broken(self, error: RouterError, *, spoke: bool) -> bytes:  # noqa: ARG002 - no client here minds
        told = {"code": error_row(error).code, "message": error.message}
        return self._event("response.failed", response=self._response("failed") | {"error": told})

    def whole(self, events: Sequence[RouterEvent], explanation: Explanation) -> Json:
        self._closed = segments(events)
        finished = events[-1]
        assert isinstance(finished, Finished)  # noqa: S101 - how every whole answer ends
        self._finished = finished
        return self._response(self._status()) | ({"router": explanation} if explanation else {})

    def _event(self, kind: str, **fields: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        return encode_event({"type": kind, "sequence_number": number, **fields})

    def _open_item(self, piece: Segment) -> bytes:
        index = len(self._closed)
        item = self._item(index, Segment(piece.kind, call=piece.call), "in_progress")
        if piece.call:
            item["arguments"] = ""
            return self._event("response.output_item.added", output_index=index, item=item)
        (part,) = item["content"]
        return self._event("response.output_item.added", output_index=index, item=item | {"content": []}) + self._event(
            "response.content_part.added", **self._place(index, piece), part=part
        )

    def _delta(self, piece: Segment) -> bytes:
        place = self._place(len(self._closed), piece)
        if piece.call:
            return self._event("response.function_call_arguments.delta", **place, delta=piece.call.arguments)
        if piece.kind == "reasoning":
            return self._event("response.reasoning_text.delta", **place, delta=piece.text)
        return self._event("response.output_text.delta", **place, delta=piece.text, logprobs=[])

    def _close_item(self) -> bytes:
        if not self._open:
            return b""
        index, (piece,) = len(self._closed), joined(self._open)
        self._closed.append(piece)
        self._open = []
        place, item = self._place(index, piece), self._item(index, piece, self._ended_as(index, piece))
        if piece.call:
            done = self._event(
                "response.function_call_arguments.done",
                **place,
                name=item["name"],
                arguments=piece.call.arguments,
            )
        elif piece.kind == "reasoning":
            done = self._event("response.reasoning_text.done", **place, text=piece.text)
        else:
            done = self._event("response.output_text.done", **place, text=piece.text, logprobs=[])
        if not piece.call:
            done += self._event("response.content_part.done", **place, part=item["content"][0])
        return done + self._event("response.output_item.done", output_index=index, item=item)

    def _place(self, index: int, piece: Segment) -> Json:
        place: Json = {"item_id": self._item_id(index, piece), "output_index": index}
        return place if piece.call else place | {"content_index": 0}

    def _item_id(self, index: int, piece: Segment) -> str:
        prefix = {"call": "fc", "reasoning": "rs", "text": "msg"}[piece.kind]
        return f"{prefix}_{self._stamp.id.removeprefix('resp_')}_{index}"

    def _item(self, index: int, piece: Segment, status: str) -> Json:
        item: Json = {"id": self._item_id(index, piece), "status": status}
        if piece.call:
            call = piece.call
            return item | {
                "type": "function_call",
                "call_id": call.id,
                **self._own_names.get(call.name, {"name": call.name}),
                "arguments": call.arguments,
            }
        if piece.kind == "reasoning":
            content = [{"type": "reasoning_text", "text": piece.text}]
            return item | {"type": "reasoning", "summary": [], "content": content}
        part = {"type": "output_text", "text": piece.text, "annotations": [], "logprobs": []}
        return item | {"type": "message", "role": "assistant", "content": [part]}

    def _ended_as(self, index: int, piece: Segment) -> str:
        """Words may end at the limit, or where an answer breaks; a call is passed on when it is whole."""
        is_last = index == len(self._closed) - 1
        is_cut = index == len(self._closed) or (is_last and self._status() == "incomplete")
        return "incomplete" if is_cut and not piece.call else "completed"

    def _status(self) -> str:
        return "incomplete" if self._finished and self._finished.reason == "length" else "completed"

    def _response(self, status: str) -> Json:
        written = [*self._closed, *joined(self._open)]
        asked = self._asked.model_dump(mode="json", by_alias=True, exclude_none=True)
        usage = self._finished.usage if self._finished else None
        return {
            "id": self._stamp.id,
            "object": "response",
            "created_at": self._stamp.created,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": asked.get("instructions"),
            "max_output_tokens": asked.get("max_output_tokens"),
            "model": self._stamp.model,
            "output": [self._item(index, piece, self._ended_as(index, piece)) for index, piece in enumerate(written)],
            "parallel_tool_calls": asked.get("parallel_tool_calls", True),
            "previous_response_id": None,
            "reasoning": {"effort": asked.get("reasoning", {}).get("effort"), "summary": None},
            "store": False,
            "temperature": asked.get("temperature"),
            "text": {"format": asked.get("text", {}).get("format", {"type": "text"})},
            "tool_choice": asked.get("tool_choice", "auto"),
            "tools": [{"parameters": None, "strict": False} | tool for tool in asked.get("tools", [])],
            "top_p": asked.get("top_p"),
            "truncation": "disabled",
            "usage": _usage(usage) if usage else None,
            "metadata": asked.get("metadata", {}),
        }


def _usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens or 0, "cache_write_tokens": 0},
        "output_tokens": usage.answer_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.answer_tokens,
    }

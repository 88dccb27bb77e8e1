"""An answer as a row of segments, for APIs that write it so: a run of thinking, a run of text, one tool call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from chains.events import ReasoningDelta, RouterEvent, TextDelta, ToolCallMade

Kind = Literal["reasoning", "text", "call"]


@dataclass(frozen=True, slots=True)
class Segment:
    """`text` of a run, or the `call`."""

    kind: Kind
    text: str = ""
    call: ToolCallMade | None = None


def segment_of(event: RouterEvent) -> Segment | None:
    """The piece that an event adds; None for what a client does not see."""
    match event:
        case TextDelta():
            return Segment("text", event.text)
        case ReasoningDelta():
            return Segment("reasoning", event.text)
        case ToolCallMade():
            return Segment("call", call=event)
        case _:
            return None


def segments(events: Iterable[RouterEvent]) -> list[Segment]:
    """The whole answer; neighbouring pieces of a kind are one segment, each call is one of its own."""
    whole: list[Segment] = []
    for event in events:
        piece = segment_of(event)
        if piece is None:
            continue
        if whole and piece.call is None and whole[-1].kind == piece.kind:
            whole[-1] = Segment(piece.kind, whole[-1].text + piece.text)
        else:
            whole.append(piece)
    return whole

"""An answer as a row of segments, for APIs that write it so: a run of thinking, a run of text, one tool call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
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
    return joined(piece for event in events if (piece := segment_of(event)) is not None)


def joined(pieces: Iterable[Segment]) -> list[Segment]:
    """The segments that pieces make up, each text put together once."""
    whole: list[Segment] = []
    for kind, neighbours in groupby(pieces, key=lambda piece: piece.kind):
        run = list(neighbours)
        whole += run if kind == "call" else [Segment(kind, "".join(piece.text for piece in run))]
    return whole

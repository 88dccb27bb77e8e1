"""What an answering node tells while it works, in the order a client may see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chains.correction import Verdict
from chains.decision import RouteDecision
from chains.ledger import Ledger
from chains.prefix import PrefixLeft

FinishReason = Literal["stop", "length", "tool_calls"]
Limit = Literal["answer_limit", "window"]
Repair = Literal[
    "tool_call_in_text", "arguments_coerced", "call_dropped", "thinking_in_text", "stop_text_cut", "asked_again"
]


@dataclass(frozen=True, slots=True)
class Routed:
    """What was decided before the model is called, and told anew where another has to stand in.

    `sources` are the memory passages that were added now (`file#heading`), `memory_note` what was not possible; `left`
    is where the prompt leaves the conversation's last one.
    """

    decision: RouteDecision
    ledger: Ledger
    conversation: str
    sources: tuple[str, ...] = ()
    memory_note: str | None = None
    left: PrefixLeft | None = None
    workspace: Path | None = None


@dataclass(frozen=True, slots=True)
class Leased:
    """The call has its place; it waited `queued_s` seconds for it."""

    queued_s: float


@dataclass(frozen=True, slots=True)
class Retried:
    """The call failed before its first token and is made anew; `error` names the kind, `attempt` counts from 1."""

    attempt: int
    error: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the model's thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallMade:
    """One whole tool call; `arguments` is a complete JSON text."""

    index: int
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    """The model's own counts in tokens; `cached_tokens` where the backend tells, else None."""

    prompt_tokens: int
    answer_tokens: int
    cached_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Timings:
    """The model's own durations in seconds."""

    load_s: float
    prefill_s: float
    answer_s: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a whole answer; counts and durations where the model told them.

    `ended_by` says which limit a `length` ran into; `reading` what the model's count says of how it read the prompt;
    `repairs` what of the answer was mended, as often as it was (docs/tools.md).
    """

    reason: FinishReason
    usage: Usage | None
    timings: Timings | None
    ended_by: Limit | None = None
    reading: Verdict = "unknown"
    repairs: tuple[Repair, ...] = ()


AnswerEvent = TextDelta | ReasoningDelta | ToolCallMade | Finished
Progress = Routed | Leased | Retried
RouterEvent = Progress | AnswerEvent

"""What travels through the graph. Nodes return partial updates of it and change nothing in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage
from typing_extensions import TypedDict

from backends.types import ModelCard
from chains.correction import Correction
from chains.decision import RouteDecision
from chains.ledger import Ledger, Measured
from chains.prefix import PromptTrace
from chains.turn import Turn
from config.schema import Mode
from graphs.kept_memory import Kept


class RouterInput(TypedDict, total=False):
    """What a run starts from: messages a person wrote, or a Turn that a client's request was parsed to.

    `model` is empty for the router's own choice, else a role or a model; `workspace` is the folder whose memory bank is
    read. With `turn` the others are not looked at.
    """

    messages: list[AnyMessage]
    model: str
    workspace: str
    mode: Mode
    turn: Turn


class RouterState(RouterInput, total=False):
    """All of a run's state: what it starts from, and what the nodes add."""

    decision: RouteDecision
    card: ModelCard
    ledger: Ledger
    chain: list[str]
    loose: str
    measured: Measured
    correction: Correction
    kept: Kept
    last_request: Mapping[str, Any]
    conversation: str
    question: str
    query_vector: list[float] | None
    blocks: dict[int, str]
    sources: list[str]
    memory_note: str | None
    new_block_index: int | None
    new_block_tokens: int
    trace: PromptTrace
    answer: AIMessage


class RouterOutput(TypedDict):
    """What a run ends with."""

    answer: AIMessage
    decision: RouteDecision
    ledger: Ledger
    sources: list[str]
    conversation: str


class RouteUpdate(TypedDict):
    """What `route` adds.

    `chain` are the messages' fingerprints, `loose` the last one's without regard to the system prompt. `measured` is
    the request's size message by message, `correction` how the model counts what is added to it, `kept` the memory that
    earlier requests added, `last_request` the record of the conversation's last one; `question` are the person's words
    that tell what is wanted, `query_vector` embeds them where they had to be.
    """

    turn: Turn
    decision: RouteDecision
    card: ModelCard
    ledger: Ledger
    chain: list[str]
    loose: str
    measured: Measured
    correction: Correction
    kept: Kept
    last_request: Mapping[str, Any]
    conversation: str
    question: str
    query_vector: list[float] | None


class MemoryUpdate(TypedDict):
    """What `read_memory` adds.

    `blocks` by index of the message they stand in, `sources` as `file#heading` of the newest one, `memory_note` says
    what was not possible, `new_block_index` is the message whose block was added now, of `new_block_tokens` in the
    model's own count.
    """

    blocks: dict[int, str]
    sources: list[str]
    memory_note: str | None
    new_block_index: int | None
    new_block_tokens: int
    ledger: Ledger


class AnswerUpdate(TypedDict):
    """What an answering node adds; the rest says what was sent in the end, which may be without the newest memory or to
    a model that stands in.
    """

    answer: AIMessage
    decision: RouteDecision
    blocks: dict[int, str]
    sources: list[str]
    ledger: Ledger
    trace: PromptTrace

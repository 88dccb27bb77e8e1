"""What a request's context is made of, in tokens, and whether it fits a model's window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from chains.conversation import digest_of, digests
from chains.correction import UNCORRECTED, Correction
from chains.counting import TokenCounts, count_json, count_message, count_text
from chains.turn import Turn
from config.errors import ContextTooLong

MIN_ANSWER_TOKENS = 256
MAX_CHARS_PER_TOKEN = 32


@dataclass(frozen=True, slots=True)
class PromptParts:
    """Estimated tokens of what the client sent, and of the memory that its messages carry already.

    `answer` is the least that must be left for the answer, `margin` what the estimate may be too low by. `corrections`
    are by model: how each counts compared with us.
    """

    system: int
    tools: int
    history: int
    answer: int = MIN_ANSWER_TOKENS
    memory: int = 0
    margin: int = 0
    corrections: Mapping[str, Correction] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Everything the model reads."""
        return self.system + self.tools + self.history + self.memory

    def as_counted_by(self, model: str) -> PromptParts:
        """The same in that model's own tokens, as far as they are known."""
        correction = self.corrections.get(model, UNCORRECTED)
        counted = replace(
            self,
            system=correction.of(self.system),
            tools=correction.of(self.tools),
            history=correction.of(self.history),
            memory=correction.of(self.memory),
            corrections={},
        )
        return replace(counted, margin=correction.margin_of(counted.total))

    def fits(self, window: int) -> bool:
        """Whether the prompt and the smallest useful answer fit `window` tokens for certain."""
        return self.total + self.margin + self.answer <= window

    def too_long(self, window: int) -> ContextTooLong:
        """The error in the words OpenAI uses, which clients look for."""
        parts = f"system {self.system}, tools {self.tools}, history {self.history}"
        margin = f", {self.margin} as a margin for counting" if self.margin else ""
        return too_long(window, f"{self.total} tokens ({parts}){margin} and {self.answer} for the answer")


@dataclass(frozen=True, slots=True)
class Ledger:
    """Tokens by part as the model counts them, estimated before the call.

    `answer` is what is reserved for the answer, `margin` what the estimate may be too low by, `left_out` what found no
    place, each with the reason.
    """

    window: int
    system: int
    tools: int
    history: int
    answer: int
    memory: int = 0
    left_out: tuple[str, ...] = ()
    margin: int = 0

    @property
    def prompt(self) -> int:
        """Everything the model reads."""
        return self.system + self.tools + self.history + self.memory

    @property
    def room(self) -> int:
        """What is left of the window beside prompt, margin and reserved answer."""
        return self.window - self.prompt - self.margin - self.answer

    def answer_limit(self, wanted: int | None) -> int:
        """How long the answer may get: what the client wants, as far as the window has room; else what is reserved."""
        return self.answer if wanted is None else max(1, min(wanted, self.window - self.prompt))

    def with_memory(self, tokens: int, left_out: tuple[str, ...] = ()) -> Ledger:
        """The same with memory in it; the reserved answer gives way where nothing else can."""
        memory = self.memory + tokens
        rest = self.window - self.margin - self.system - self.tools - self.history - memory
        return replace(self, memory=memory, answer=min(self.answer, rest), left_out=(*self.left_out, *left_out))

    def in_window(self, window: int, answer_limit: int) -> Ledger | None:
        """The same for another model, with at most `answer_limit` for the answer; None without room for it."""
        room = window - self.prompt - self.margin
        return replace(self, window=window, answer=min(answer_limit, room)) if room >= MIN_ANSWER_TOKENS else None

    def header(self) -> str:
        """As the value of `x-router-context`; ASCII only. Of what was left out it gives the number."""
        parts = {
            "window": self.window,
            "system": self.system,
            "tools": self.tools,
            "history": self.history,
            "memory": self.memory,
            "left_out": len(self.left_out),
            "answer": self.answer,
            "margin": self.margin,
        }
        return "; ".join(f"{name}={value}" for name, value in parts.items())


@dataclass(frozen=True, slots=True)
class Measured:
    """A Turn's size: its parts, and digest and tokens of each message and of the tools."""

    parts: PromptParts
    messages: tuple[tuple[str, int], ...]
    tools: tuple[str, int]


def measure(turn: Turn, counts: TokenCounts, *, largest_window: int) -> Measured:
    """Count a Turn; what `counts` knows is not counted again. CPU-bound: call it off the event loop.

    Raises:
        ContextTooLong: its text is so long that it fits no window, which is told without counting it.
    """
    chars = sum(len(message.text) for message in turn.messages)
    if chars > largest_window * MAX_CHARS_PER_TOKEN:
        raise too_long(largest_window, f"{chars} characters of text")
    messages = tuple(
        (digest, counts.of(digest, partial(count_message, message)) + thought)
        for digest, message, thought in zip(
            digests(turn.messages), turn.messages, _thoughts(turn.messages, counts), strict=True
        )
    )
    tools = ("", 0)
    if turn.offers_tools:
        shown = list(turn.tools)
        digest = digest_of(shown)
        tools = (digest, counts.of(digest, partial(count_json, shown)))
    system = sum(
        tokens
        for (_, tokens), message in zip(messages, turn.messages, strict=True)
        if isinstance(message, SystemMessage)
    )
    parts = PromptParts(
        system=system,
        tools=tools[1],
        history=sum(tokens for _, tokens in messages) - system,
        answer=min(MIN_ANSWER_TOKENS, turn.sampling.answer_limit_tokens or MIN_ANSWER_TOKENS),
    )
    return Measured(parts, messages, tools)


def _thoughts(messages: Sequence[BaseMessage], counts: TokenCounts) -> list[int]:
    """Tokens of each message's thinking, which templates show a model while the tool loop it belongs to goes on."""
    asked = max((index for index, message in enumerate(messages) if isinstance(message, HumanMessage)), default=-1)
    thoughts = [str(message.additional_kwargs.get("reasoning_content") or "") for message in messages]
    return [
        counts.of(digest_of(thought), partial(count_text, thought)) if thought and index > asked else 0
        for index, thought in enumerate(thoughts)
    ]


def open_ledger(parts: PromptParts, turn: Turn, *, window: int, answer_limit: int) -> Ledger:
    """The ledger of a request without memory, for a window that `parts` fit."""
    # A client may ask for all the room that is left; only what an answer of this role may need is kept free for it.
    sent = parts.system + parts.tools + parts.history
    wanted = turn.sampling.answer_limit_tokens or answer_limit
    answer = min(wanted, answer_limit, window - sent - parts.margin)
    return Ledger(
        window=window,
        system=parts.system,
        tools=parts.tools,
        history=parts.history,
        answer=answer,
        margin=parts.margin,
    )


def too_long(window: int, requested: str) -> ContextTooLong:
    """The error in the words OpenAI uses, which clients look for."""
    return ContextTooLong(
        f"This model's maximum context length is {window} tokens. However, you requested {requested}. "
        "Please reduce the length of the messages, or start a new task.",
        param="messages",
    )

"""What a request's context is made of, in tokens, and whether it fits a model's window."""

from __future__ import annotations

from dataclasses import dataclass, replace

from langchain_core.messages import SystemMessage

from chains.counting import count_json, count_message
from chains.turn import Turn
from config.errors import ContextTooLong

MIN_ANSWER_TOKENS = 256
MAX_CHARS_PER_TOKEN = 32


@dataclass(frozen=True, slots=True)
class PromptParts:
    """Estimated tokens of what the client sent; `answer` is the least that must be left for the answer."""

    system: int
    tools: int
    history: int
    answer: int = MIN_ANSWER_TOKENS

    @property
    def total(self) -> int:
        """Everything the model reads of the client's."""
        return self.system + self.tools + self.history

    def fits(self, window: int) -> bool:
        """Whether the prompt and the smallest useful answer fit `window` tokens."""
        return self.total + self.answer <= window

    def too_long(self, window: int) -> ContextTooLong:
        """The error in the words OpenAI uses, which clients look for."""
        return too_long(
            window,
            f"{self.total} tokens (system {self.system}, tools {self.tools}, history {self.history}) "
            f"and {self.answer} for the answer",
        )


@dataclass(frozen=True, slots=True)
class Ledger:
    """Tokens by part, estimated before the call; `answer` is what is reserved for the answer."""

    window: int
    system: int
    tools: int
    history: int
    answer: int
    memory: int = 0
    left_out: tuple[str, ...] = ()

    @property
    def prompt(self) -> int:
        """Everything the model reads."""
        return self.system + self.tools + self.history + self.memory

    @property
    def room(self) -> int:
        """What is left of the window beside prompt and reserved answer."""
        return self.window - self.prompt - self.answer

    def answer_limit(self, wanted: int | None) -> int:
        """How long the answer may get: what the client wants, as far as the window has room; else what is reserved."""
        return self.answer if wanted is None else max(1, min(wanted, self.window - self.prompt))

    def with_memory(self, tokens: int, left_out: tuple[str, ...] = ()) -> Ledger:
        """The same with memory in it; the reserved answer gives way where nothing else can."""
        memory = self.memory + tokens
        answer = min(self.answer, self.window - self.system - self.tools - self.history - memory)
        return replace(self, memory=memory, answer=answer, left_out=(*self.left_out, *left_out))

    def header(self) -> str:
        """As the value of `x-router-context`; ASCII only."""
        parts = {
            "window": self.window,
            "answer": self.answer,
            "system": self.system,
            "tools": self.tools,
            "history": self.history,
            "memory": self.memory,
            "left_out": len(self.left_out),
        }
        return "; ".join(f"{name}={value}" for name, value in parts.items())


def count_parts(turn: Turn, *, largest_window: int) -> PromptParts:
    """Count a Turn. CPU-bound: call it off the event loop.

    Raises:
        ContextTooLong: its text is so long that it fits no window, which is told without counting it.
    """
    chars = sum(len(message.text) for message in turn.messages)
    if chars > largest_window * MAX_CHARS_PER_TOKEN:
        raise too_long(largest_window, f"{chars} characters of text")
    counts = [(isinstance(message, SystemMessage), count_message(message)) for message in turn.messages]
    return PromptParts(
        system=sum(tokens for is_system, tokens in counts if is_system),
        tools=count_json(list(turn.tools)) if turn.offers_tools else 0,
        history=sum(tokens for is_system, tokens in counts if not is_system),
        answer=min(MIN_ANSWER_TOKENS, turn.sampling.answer_limit_tokens or MIN_ANSWER_TOKENS),
    )


def open_ledger(parts: PromptParts, turn: Turn, *, window: int, answer_limit: int) -> Ledger:
    """The ledger of a request without memory, for a window that `parts` fit."""
    # A client may ask for all the room that is left; only what an answer of this role may need is kept free for it.
    answer = min(turn.sampling.answer_limit_tokens or answer_limit, answer_limit, window - parts.total)
    return Ledger(window=window, system=parts.system, tools=parts.tools, history=parts.history, answer=answer)


def too_long(window: int, requested: str) -> ContextTooLong:
    """The error in the words OpenAI uses, which clients look for."""
    return ContextTooLong(
        f"This model's maximum context length is {window} tokens. However, you requested {requested}. "
        "Please reduce the length of the messages, or start a new task.",
        param="messages",
    )

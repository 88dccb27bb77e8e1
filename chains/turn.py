"""A Turn: one request, understood. Made by `wire/` from what a client sends, or from messages in a notebook."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage

from chains.instructions import instructions_placed
from chains.marks import find_mark, without_marks
from config.schema import Mode, Role

AUTOMATIC = ""
_IMAGE_URI = re.compile(r"data:image/[a-zA-Z0-9.+-]+;base64,")
# Possessive, so that line breaks are read once, whether they end the text or not.
_BASE64 = re.compile(r"[A-Za-z0-9+/\r\n]++={0,2}[\r\n]*")


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the client wants the answer sampled; None leaves the role's own setting."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: tuple[str, ...] = ()
    answer_limit_tokens: int | None = None
    think: bool | None = None

    def options(self) -> dict[str, Any]:
        """As Ollama's options; none of these makes Ollama load a model anew."""
        values = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "seed": self.seed,
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "stop": list(self.stop),
        }
        return {key: value for key, value in values.items() if value is not None and value != []}


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether the model may, must or must not call a tool; `name` where it must be that one."""

    kind: Literal["none", "auto", "required"] = "auto"
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One request as the graph sees it.

    `person_text` holds the person's own latest words without a client's boilerplate, "" where there are none;
    `person_index` is the message that holds them, `previous_text` the words before those. `mark` is the role that the
    latest words name with `@fast`, `@code` or `@deep`; the marks themselves stand in none of these texts.
    `from_machine` tells that the last message is a tool result or another text no person typed, `is_errand` that the
    client asks for a title or a summary of its own. `tools` and
    `answer_schema` are JSON schemas as the client sent them; `one_call` allows one call an answer at most.
    """

    messages: tuple[BaseMessage, ...]
    person_text: str = ""
    person_index: int | None = None
    from_machine: bool = False
    mode: Mode = "none"
    workspace: Path | None = None
    wants_memory: bool = True
    is_errand: bool = False
    model: str = AUTOMATIC
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    one_call: bool = False
    sampling: Sampling = field(default_factory=Sampling)
    answer_schema: Mapping[str, Any] | Literal["json"] | None = None
    session: str | None = None
    mark: Role | None = None
    previous_text: str = ""

    @property
    def has_images(self) -> bool:
        """Whether any message carries an image."""
        return any(
            isinstance(part, dict) and part.get("type") == "image_url"
            for message in self.messages
            if isinstance(message.content, list)
            for part in message.content
        )

    @property
    def offers_tools(self) -> bool:
        """Whether the model is shown tools at all."""
        return bool(self.tools) and self.tool_choice.kind != "none"

    @classmethod
    def of_messages(
        cls,
        messages: Sequence[BaseMessage],
        *,
        model: str = AUTOMATIC,
        workspace: Path | None = None,
        mode: Mode = "none",
    ) -> Turn:
        """A Turn from plain messages, where the last human message is what a person typed."""
        indexes = [index for index, message in enumerate(messages) if isinstance(message, HumanMessage)]
        texts = [str(messages[index].text) for index in indexes]
        return cls(
            messages=instructions_placed([_without_marks(message) for message in messages]),
            person_text=without_marks(texts[-1]) if texts else "",
            person_index=len(instructions_placed(messages[: indexes[-1] + 1])) - 1 if indexes else None,
            from_machine=bool(messages) and isinstance(messages[-1], ToolMessage),
            mode=mode,
            workspace=workspace,
            model=model,
            mark=find_mark(texts[-1]) if texts else None,
            previous_text=without_marks(texts[-2]) if len(texts) > 1 else "",
        )


def _without_marks(message: BaseMessage) -> BaseMessage:
    return replace_in_texts(message, without_marks) if isinstance(message, HumanMessage) else message


def is_image_uri(text: str) -> bool:
    """Whether it is an image in the only form that is taken: the service fetches nothing."""
    opens = _IMAGE_URI.match(text)
    return opens is not None and is_base64(text, opens.end())


def is_base64(text: str, begin: int = 0) -> bool:
    """Whether it is base64 as Ollama reads it: padded, in lines or not."""
    digits = len(text) - begin - text.count("\n", begin) - text.count("\r", begin)
    return digits % 4 == 0 and _BASE64.fullmatch(text, begin) is not None


def replace_in_texts(message: HumanMessage, replaced: Callable[[str], str]) -> HumanMessage:
    """The message with each of its texts replaced; the very same one where that changes nothing."""
    content = message.content
    changed: str | list[str | dict[Any, Any]]
    if isinstance(content, str):
        changed = replaced(content)
    else:
        changed = [
            replaced(part)
            if isinstance(part, str)
            else {**part, "text": replaced(str(part["text"]))}
            if part.get("type") == "text" and "text" in part
            else part
            for part in content
        ]
    return message if changed == content else message.model_copy(update={"content": changed})

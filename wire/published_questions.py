"""What LangServe's two playgrounds ask, and the schemas by which their pages know what to show."""

from __future__ import annotations

import re
from typing import Annotated, Any

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
)

from chains.decision import RouteDecision
from config.errors import BadRequest
from config.schema import ROLES, Mode
from graphs.state import RouterInput
from wire.problems import first_problem

_ROUTE_LINE = re.compile(rf"\A→ (?:{'|'.join(ROLES)}) · [^\n]*\n\n")


class Conversation(BaseModel):
    """Messages, of which the last one is the question."""

    messages: list[Any]

    @field_validator("messages", mode="wrap")
    @classmethod
    def _takes_no_odd_calls(cls, messages: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(messages)
        except TypeError:
            # LangChain calls functions of its own with whatever keys a tool call has.
            raise ValueError("a tool call has unknown keys") from None

    def graph_input(self) -> RouterInput:
        """What a run of the graph starts from."""
        return RouterInput(messages=list(self.messages))


class Asked(Conversation):
    """What a person asks the router."""

    # LangServe's page looks for its widget's name where pydantic 1 put it; with it, the form opens with a message.
    messages: list[Annotated[HumanMessage | AIMessage | SystemMessage | ToolMessage, Discriminator("type")]] = Field(
        min_length=1,
        description="The conversation; the last message is the question.",
        json_schema_extra={"extra": {"widget": {"type": "chat"}}},
    )
    workspace: str = Field(
        default="", title="Workspace (your project's folder)", description="Its memory bank is read; may be empty."
    )
    mode: Mode = Field(default="none", description="As in Cline: plan, act, yolo or none.")
    model: str = Field(
        default="", title="Role or model (empty: the router chooses)", description="A role, or a role's model."
    )

    def graph_input(self) -> RouterInput:
        """See `Conversation.graph_input`."""
        return RouterInput(messages=list(self.messages), workspace=self.workspace, mode=self.mode, model=self.model)


class Chatted(Conversation):
    """A chat, as LangServe's chat playground sends it: one list and nothing beside it."""

    messages: list[Annotated[HumanMessage | AIMessage | SystemMessage, Discriminator("type")]] = Field(
        min_length=1, description="The conversation; the last message is the question."
    )

    @field_validator("messages")
    @classmethod
    def _without_route_lines(cls, messages: list[Any]) -> list[Any]:
        """The model must read its answers as it gave them, or nothing that it has read holds any more."""
        return [_without_route_line(message) for message in messages]


# The chat playground looks for the form in which pydantic 1 described a message, and shows nothing without it.
_A_MESSAGE = {"properties": {"type": {"enum": ["ai"]}, "content": {"type": "string"}}, "type": "object"}
Answered = Annotated[AIMessage, WithJsonSchema({"anyOf": [_A_MESSAGE]})]

QUESTIONS = frozenset({Asked.__name__, Chatted.__name__})


def route_line(decision: RouteDecision) -> str:
    """How an answer in a chat begins: which role and model speaks, and why."""
    return f"→ {decision.role} · {decision.model} · {' '.join(decision.reason.split())}\n\n"


def bad_question(error: ValidationError, question: Any = None) -> BadRequest:
    """What is wrong with a question, without its text."""
    return first_problem(error, question, whole="input")


def _without_route_line(message: Any) -> Any:
    """It begins an answer, or the first part of one."""
    if not isinstance(message, AIMessage):
        return message
    whole = message.content
    content = _begun_later(whole) if isinstance(whole, str) else [*map(_begun_later, whole[:1]), *whole[1:]]
    return message.model_copy(update={"content": content})


def _begun_later(part: Any) -> Any:
    text = part.get("text") if isinstance(part, dict) else part
    if not isinstance(text, str):
        return part
    text = _ROUTE_LINE.sub("", text)
    return part | {"text": text} if isinstance(part, dict) else text

"""LangServe's view of the graph: typed inputs a person can fill in, and an answer that streams."""

from __future__ import annotations

import operator
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial, reduce
from typing import Annotated, Any

from fastapi import FastAPI
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    message_chunk_to_message,
)
from langchain_core.runnables import RunnableConfig, RunnableGenerator
from langserve import add_routes
from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from chains.events import Finished, Progress, Routed, RouterEvent, TextDelta
from config.errors import BadRequest, RouterError
from config.schema import Mode
from graphs.state import RouterInput
from wire.errors import error_object, error_row
from wire.problems import first_problem
from wire.request_id import current_request_id
from wire.run import open_run, run_graph
from wire.service import RouterService

PATH = "/router"


class Asked(BaseModel):
    """What a person asks the router."""

    messages: list[Annotated[HumanMessage | AIMessage | SystemMessage | ToolMessage, Discriminator("type")]] = Field(
        min_length=1,
        description="The conversation; the last message is the question.",
        json_schema_extra={"widget": {"type": "chat", "input": "messages"}},
    )

    @field_validator("messages", mode="wrap")
    @classmethod
    def _takes_no_odd_calls(cls, messages: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(messages)
        except TypeError:
            # LangChain calls functions of its own with whatever keys a tool call has.
            raise ValueError("a tool call has unknown keys") from None

    workspace: str = Field(default="", description="The project's folder, whose memory bank is read.")
    mode: Mode = Field(default="none", description="As in Cline: plan, act, yolo or none.")
    model: str = Field(default="", description="Empty for the router's choice, else a role or a model.")


class PublishedGraph(RunnableGenerator[Any, Any]):
    """The compiled graph as a runnable over `Asked`: streams chunks of a message, or gives it whole.

    Invoked, it raises the `RouterError` of a run that fails, which becomes an HTTP status; a stream that fails ends
    with a chunk that says so, as LangServe would only break it off.
    """

    def __init__(self, service: Callable[[], RouterService]) -> None:
        self._service = service
        super().__init__(self._stream)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AIMessage:  # noqa: A002, ARG002
        chunks = [chunk async for chunk in self._chunks(input)]
        whole = message_chunk_to_message(reduce(operator.add, chunks))
        assert isinstance(whole, AIMessage)  # noqa: S101 - chunks of one make one
        return whole

    async def _stream(self, questions: AsyncIterator[Any]) -> AsyncGenerator[AIMessageChunk, None]:
        # Not in a loop of ours: LangServe hands the input over whole.
        question = [part async for part in questions][-1]
        try:
            async with aclosing(self._chunks(question)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except RouterError as error:
            told = {"finish_reason": "error", "error": error_object(error)}
            yield AIMessageChunk(content=error.message, response_metadata=told, chunk_position="last")

    async def _chunks(self, question: Any) -> AsyncGenerator[AIMessageChunk, None]:
        service = self._service()
        journal = service.journal(current_request_id(), dialect="langserve")
        outcome = "client_gone"
        try:
            run = partial(run_graph, service, _graph_input(question))
            async with open_run(run, journal) as inbox:
                event: RouterEvent | None = None
                while event is None or isinstance(event, Progress):
                    event = await inbox.next()
                # Told once and for all: chunks that say it twice would be joined.
                if journal.routed and (chunk := _chunk(journal.routed)):
                    yield chunk
                while True:
                    if chunk := _chunk(event):
                        yield chunk
                    if isinstance(event, Finished):
                        break
                    event = await inbox.next()
                await inbox.drain()
            outcome = "ok"
        except RouterError as error:
            outcome = error_row(error).code
            raise
        finally:
            journal.close(outcome)


def publish(app: FastAPI, service: Callable[[], RouterService]) -> None:
    """Serve the graph at `/router`: invoke, batch, stream and the playground. A caller's `config` changes nothing."""
    add_routes(
        app,
        PublishedGraph(service).with_types(input_type=Asked, output_type=AIMessage),
        path=PATH,
        config_keys=(),
        enabled_endpoints=("invoke", "batch", "stream", "stream_log", "playground", "input_schema", "output_schema"),
    )


def _graph_input(question: Any) -> RouterInput:
    try:
        asked = question if isinstance(question, Asked) else Asked.model_validate(question)
    except ValidationError as error:
        raise bad_question(error) from None
    return RouterInput(messages=list(asked.messages), workspace=asked.workspace, mode=asked.mode, model=asked.model)


def bad_question(error: ValidationError) -> BadRequest:
    """What is wrong with an `Asked`, without its text."""
    return first_problem(error, whole="input")


def _chunk(event: RouterEvent) -> AIMessageChunk | None:
    """The answer's text in `content`; who answered, why and from what in `response_metadata`."""
    match event:
        case Routed():
            return AIMessageChunk(
                content="",
                response_metadata={
                    "role": event.decision.role,
                    "model": event.decision.model,
                    "reason": event.decision.reason,
                    "sources": list(event.sources),
                    "context": event.ledger.header(),
                },
            )
        case TextDelta():
            return AIMessageChunk(content=event.text)
        case Finished():
            return AIMessageChunk(content="", response_metadata={"finish_reason": event.reason}, chunk_position="last")
        case _:
            return None

"""LangServe's view of the graph: its playground with typed inputs, its chat playground, and an answer that streams."""

from __future__ import annotations

import operator
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial, reduce
from typing import Any, Literal

from fastapi import FastAPI
from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from langchain_core.runnables import RunnableConfig, RunnableGenerator
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from chains.events import Finished, Progress, Routed, RouterEvent, TextDelta
from config.errors import RouterError
from graphs.state import RouterInput
from wire.errors import error_object, error_row
from wire.journal import CLIENT_GONE
from wire.published_questions import Answered, Asked, Chatted, Conversation, bad_question, route_line
from wire.request_id import current_request_id
from wire.run import open_run, run_graph
from wire.service import RouterService

PATH = "/router"
CHAT_PATH = "/chat"


class PublishedGraph(RunnableGenerator[Any, Any]):
    """The compiled graph as a runnable over one kind of question: streams chunks of a message, or gives it whole.

    `names_route` has the answer begin with a line that tells who speaks and why, for a page that shows nothing else.

    Invoked, it raises the `RouterError` of a run that fails, which becomes an HTTP status; a stream that fails ends
    with a chunk that says so, as LangServe would only break it off.
    """

    def __init__(
        self, service: Callable[[], RouterService], asked: type[Conversation], *, names_route: bool = False
    ) -> None:
        self._service = service
        self._asked = asked
        self._names_route = names_route
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
        outcome = CLIENT_GONE
        try:
            run = partial(run_graph, service, self._graph_input(question))
            async with open_run(run, journal) as inbox:
                event: RouterEvent | None = None
                while event is None or isinstance(event, Progress):
                    event = await inbox.next()
                # Told once and for all: chunks that say it twice would be joined.
                if journal.routed:
                    yield self._routed(journal.routed)
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

    def _graph_input(self, question: Any) -> RouterInput:
        try:
            return self._asked.model_validate(question).graph_input()
        except ValidationError as error:
            raise bad_question(error, question) from None

    def _routed(self, routed: Routed) -> AIMessageChunk:
        decision = routed.decision
        told = {
            "role": decision.role,
            "model": decision.model,
            "reason": decision.reason,
            "sources": list(routed.sources),
            "context": routed.ledger.header(),
        }
        return AIMessageChunk(content=route_line(decision) if self._names_route else "", response_metadata=told)


def publish(app: FastAPI, service: Callable[[], RouterService]) -> None:
    """Serve the graph at `/router` and, as a chat, at `/chat`, each with its playground.

    A caller's `config` changes nothing.
    """
    from langserve import add_routes  # noqa: PLC0415 - with the schemas of its pages, a twentieth of a start

    publish_at = partial(
        add_routes,
        app,
        config_keys=(),
        enabled_endpoints=("invoke", "batch", "stream", "stream_log", "playground", "input_schema", "output_schema"),
    )
    publish_at(PublishedGraph(service, Asked).with_types(input_type=Asked, output_type=AIMessage), path=PATH)
    chat = PublishedGraph(service, Chatted, names_route=True)
    publish_at(chat.with_types(input_type=Chatted, output_type=Answered), path=CHAT_PATH, playground_type="chat")

    # Its page asks for the schemas of a configuration, even where it has none.
    @app.get(CHAT_PATH + "/c/{configuration}/{side}_schema", include_in_schema=False)
    async def schema(side: Literal["input", "output"]) -> RedirectResponse:
        return RedirectResponse(f"../../{side}_schema")


def _chunk(event: RouterEvent) -> AIMessageChunk | None:
    """A piece of the answer; None for what LangServe's clients are not told."""
    match event:
        case TextDelta():
            return AIMessageChunk(content=event.text)
        case Finished():
            return AIMessageChunk(content="", response_metadata={"finish_reason": event.reason}, chunk_position="last")
        case _:
            return None

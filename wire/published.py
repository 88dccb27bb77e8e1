"""LangServe's view of the graph: typed inputs a person can fill in, and an answer that streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
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
from langchain_core.runnables import Runnable, RunnableConfig, RunnableGenerator
from langserve import add_routes
from pydantic import BaseModel, Discriminator, Field

from chains.events import Finished, Routed, RouterEvent, TextDelta
from config.schema import Mode
from graphs.state import RouterInput
from wire.service import RouterService

PATH = "/router"


class Asked(BaseModel):
    """What a person asks the router."""

    messages: list[Annotated[HumanMessage | AIMessage | SystemMessage | ToolMessage, Discriminator("type")]] = Field(
        min_length=1,
        description="The conversation; the last message is the question.",
        json_schema_extra={"widget": {"type": "chat", "input": "messages"}},
    )
    workspace: str = Field(default="", description="The project's folder, whose memory bank is read.")
    mode: Mode = Field(default="none", description="As in Cline: plan, act, yolo or none.")
    model: str = Field(default="", description="Empty for the router's choice, else a role or a model.")


def published_graph(service: Callable[[], RouterService]) -> Runnable[Any, Any]:
    """The compiled graph as a runnable over `Asked`, for LangServe; `service` is looked up at each call."""

    async def ask(asked: AsyncIterator[Any]) -> AsyncGenerator[AIMessageChunk, None]:
        # Not in a loop of ours: LangServe hands the input over whole.
        question = [part async for part in asked][-1]
        told: asyncio.Queue[RouterEvent | None] = asyncio.Queue()
        # In a task of its own: LangServe is cancelled by anyio, again at each await, which would cut the graph's
        # clean-up short and leave its model call running.
        running = asyncio.create_task(_run(service(), question, told), name="run-graph")
        try:
            while (event := await told.get()) is not None:
                if chunk := _chunk(event):
                    yield chunk
            await running
        finally:
            running.cancel()
            await asyncio.wait({running})

    runnable: Runnable[Any, Any] = _WholeMessages(ask)
    return runnable.with_types(input_type=Asked, output_type=AIMessage).with_config(run_name="cline-memory-router")


class _WholeMessages(RunnableGenerator[Any, Any]):
    """Streams the answer as chunks of a message; invoked, gives it as one message."""

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        return message_chunk_to_message(await super().ainvoke(input, config, **kwargs))


def publish(app: FastAPI, service: Callable[[], RouterService]) -> None:
    """Serve the graph at `/router`: invoke, batch, stream and the playground. A caller's `config` changes nothing."""
    add_routes(
        app,
        published_graph(service),
        path=PATH,
        config_keys=(),
        enabled_endpoints=("invoke", "batch", "stream", "stream_log", "playground", "input_schema", "output_schema"),
    )


async def _run(router: RouterService, question: Any, told: asyncio.Queue[RouterEvent | None]) -> None:
    stream: Any = router.graph.astream(_graph_input(question), context=router.deps, stream_mode="custom")
    try:
        async with aclosing(stream) as events:
            async for event in events:
                told.put_nowait(event)
    finally:
        told.put_nowait(None)


def _graph_input(question: Any) -> RouterInput:
    asked = question if isinstance(question, Asked) else Asked.model_validate(question)
    return RouterInput(messages=list(asked.messages), workspace=asked.workspace, mode=asked.mode, model=asked.model)


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

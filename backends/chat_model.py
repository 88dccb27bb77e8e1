"""`ChatOllama` over our own reader of the stream: nothing cut in silence, nothing changed on the way.

What differs from `ChatOllama` 1.1, and why:

- `truncate` and `shift` are sent as false, so that an over-long prompt is an error and not a shorter prompt;
- a stream without `done: true` is an error (`backends.ndjson`), where the `ollama` client takes it for whole;
- text parts are joined as they are, where each would get a line break in front;
- tool arguments stay as the model gave them, where a string that looks like JSON would become an object;
- results of tools carry the tool's name, which Ollama's templates ask for;
- thinking is passed on whether or not it was asked for.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from copy import copy
from typing import Any

import orjson
from langchain_core.callbacks import AsyncCallbackManager
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_ollama import ChatOllama
from pydantic import Field

from backends.ndjson import ChatTransport
from backends.ollama_api import UNCUT
from config.errors import UpstreamBroken

# Most pieces are words and nothing else: a copy takes six tenths of the time of making and validating a message.
_EMPTY = AIMessageChunk(content="")
_OF_A_PIECE = {"role", "content"}
# What `BaseChatModel.with_structured_output` binds for those who trace, and takes out before the call.
_OF_LANGCHAIN = frozenset({"ls_structured_output_format", "structured_output_format"})


class RouterChatOllama(ChatOllama):
    """See the module. Asynchronous only.

    Given with a call, `options=` replaces the model's own set; `prefill_s=` is how long reading the prompt is expected
    to take, in seconds, and `call_s=` how long writing the longest tool call is.
    """

    transport: ChatTransport = Field(exclude=True)
    # ChatOllama makes two HTTP clients that nothing here uses; to read the certificates for them takes some 50 ms.
    client_kwargs: dict[str, Any] | None = Field(default_factory=lambda: {"verify": False})

    def _convert_messages_to_ollama_messages(self, messages: list[BaseMessage]) -> Sequence[Any]:
        converted: list[Any] = list(super()._convert_messages_to_ollama_messages(messages))
        names: dict[str | None, str] = {}
        for original, message in zip(messages, converted, strict=True):
            if isinstance(original.content, list):
                message["content"] = str(original.text)
            if not message["images"]:
                del message["images"]
            if isinstance(original, AIMessage):
                names |= {call["id"]: call["name"] for call in original.tool_calls}
            if isinstance(original, ToolMessage) and (name := names.get(original.tool_call_id)):
                message["tool_name"] = name
        return converted

    def prompt_body(self, messages: Sequence[BaseMessage], tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What of a call the model reads, in the bytes a call would send."""
        return {
            "model": self.model,
            "messages": list(self._convert_messages_to_ollama_messages(list(messages))),
            "tools": list(tools),
        }

    async def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - BaseChatModel's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """As `BaseChatModel.astream`, by it where callbacks are there or options of LangChain's own are bound; else
        without the ids that it gives to pieces and the empty one that it adds.

        It keeps all chunks and joins them in the end, which holds the event loop for a long answer.
        """
        if self._is_heard(config) or not _OF_LANGCHAIN.isdisjoint(kwargs):
            async with aclosing(super().astream(input, config, stop=stop, **kwargs)) as messages:  # type: ignore[type-var]
                async for message in messages:
                    yield message
            return
        async with aclosing(self._chunks(self._convert_input(input).to_messages(), stop, **kwargs)) as chunks:
            async for chunk in chunks:
                yield _checked_message(chunk)

    def _is_heard(self, config: RunnableConfig | None) -> bool:
        callbacks = ensure_config(config).get("callbacks")
        return bool(AsyncCallbackManager.configure(callbacks, self.callbacks, self.verbose).handlers)

    async def _aiterate_over_stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        async with aclosing(self._chunks(messages, stop, **kwargs)) as chunks:
            async for chunk in chunks:
                message = _checked_message(chunk)
                yield ChatGenerationChunk(message=message, generation_info=message.response_metadata or None)

    def _chunks(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        *,
        prefill_s: float | None = None,
        call_s: float = 0.0,
        **kwargs: Any,
    ) -> AsyncGenerator[dict[str, Any], None]:
        params = self._chat_params(messages, stop, **kwargs)
        body = {key: value for key, value in params.items() if value is not None and value != ""}
        return self.transport.stream({**body, "stream": True, **UNCUT}, prefill_s=prefill_s, call_s=call_s)

    def _create_chat_stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, **kwargs: Any
    ) -> Iterator[Mapping[str, Any] | str]:
        raise NotImplementedError("Use the asynchronous methods: ainvoke, astream.")


def _checked_message(chunk: Mapping[str, Any]) -> AIMessageChunk:
    try:
        return _message(chunk)
    except (AttributeError, TypeError, ValueError) as error:
        raise UpstreamBroken("The model's server sent a line that is not as Ollama's are: try again.") from error


def _message(chunk: Mapping[str, Any]) -> AIMessageChunk:
    message = chunk.get("message") or {}
    text = message.get("content")
    if isinstance(text, str) and message.keys() <= _OF_A_PIECE and not chunk.get("done"):
        piece = copy(_EMPTY)
        piece.content = text
        piece.response_metadata = {}
        return piece
    thinking = message.get("thinking")
    counts = (chunk.get("prompt_eval_count"), chunk.get("eval_count"))
    return AIMessageChunk(
        content=text or "",
        additional_kwargs={"reasoning_content": thinking} if thinking else {},
        response_metadata={key: value for key, value in chunk.items() if key != "message"} if chunk.get("done") else {},
        tool_calls=[_tool_call(call) for call in message.get("tool_calls") or ()],
        usage_metadata=None
        if None in counts
        else {"input_tokens": counts[0], "output_tokens": counts[1], "total_tokens": sum(counts)},
    )


def _tool_call(call: Mapping[str, Any]) -> ToolCall:
    try:
        function = call["function"]
        arguments = function.get("arguments") or {}
        if isinstance(arguments, str):
            arguments = orjson.loads(arguments)
        return ToolCall(type="tool_call", id=call.get("id"), name=function["name"], args=dict(arguments))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UpstreamBroken("The model's server sent a tool call without a name or arguments: try again.") from error

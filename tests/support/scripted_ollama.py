"""A scripted Ollama over a real TCP socket, for tests, benchmarks and trials by hand.

    async with ScriptedOllama(models=[Model("qwen3:30b-a3b", window=40_960)]) as ollama:
        ollama.script(Reply.text("Hello", " world").gate_after(1))
        ...                          # a client calls ollama.base_url
        await ollama.wait_held()     # the first piece is out, the rest waits
        ollama.release()

Order of an answer: the next scripted reply for that model, the next for any model, the model's default, the
default, an instance of the request's `format` schema, `Reply.text("ok")`.
By hand: `python -m tests.support.scripted_ollama --port 11500 --text "Hello"`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self

from tests.support.ollama_catalogue import REFERENCE_MODELS, Model, Residency, with_tag
from tests.support.ollama_embedding import play_embed
from tests.support.ollama_http import Connection, Request
from tests.support.ollama_journal import Journal
from tests.support.ollama_management import load, manage, preload, refusal
from tests.support.ollama_playing import Gates, play_stream
from tests.support.ollama_replies import BEFORE_HEADERS, JsonObject, Reply
from tests.support.schema_instance import smallest

__all__ = ["REFERENCE_MODELS", "Model", "Reply", "Request", "ScriptedOllama"]

Script = Reply | Callable[[JsonObject], Reply]


class ScriptedOllama(Journal):
    """Answers as scripted and records what it was asked and who hung up."""

    def __init__(self, models: Sequence[Model] = REFERENCE_MODELS, *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__()
        self.models = {model.full_name: model for model in models}
        self.residency = Residency()
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._queues: dict[str | None, deque[Script]] = defaultdict(deque)
        self._defaults: dict[str | None, Script] = {}
        self._embed_replies: deque[Reply] = deque()
        self._load_replies: deque[Reply] = deque()
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._resets = 0
        self._gates = Gates(self.notify)
        self._closed = False

    # --- scripting

    def script(self, *replies: Script, model: str | None = None) -> None:
        """Queue replies to the next chats, of one model or any; a function makes its reply from the chat."""
        self._queues[model and with_tag(model)].extend(replies)

    def default(self, reply: Script, *, model: str | None = None) -> None:
        self._defaults[model and with_tag(model)] = reply

    def script_embed(self, *replies: Reply) -> None:
        """Queue whole replies, or resets, to the next `/api/embed`; without any it is answered with vectors."""
        self._embed_replies.extend(replies)

    def script_load(self, *replies: Reply) -> None:
        """Queue replies to the next requests that only load a model: held before headers, reset, or an error."""
        self._load_replies.extend(replies)

    def release(self) -> None:
        """Open every gate where a reply is held now; where none is, the next one to be reached."""
        self._gates.release()

    async def reset_next_connections(self, count: int = 1) -> None:
        """Reset the next connections as they are made; idle ones are closed: the client must connect."""
        self._resets = count
        await self._drop_connections(busy=False)

    async def stop_listening(self, *, drop_running: bool = False) -> None:
        """Refuse connections and close the idle ones; running answers go on unless dropped too."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._drop_connections(busy=drop_running)

    async def start_listening(self) -> None:
        """Listen, after `stop_listening` on the same port as before."""
        self._server = await asyncio.start_server(self._serve, self._host, self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    # --- connections

    @property
    def base_url(self) -> str:
        return f"http://{self._host}:{self._port}"

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    @property
    def running(self) -> int:
        """Answers begun and neither wholly sent nor hung up on."""
        return sum(connection.busy for connection in self._connections)

    @property
    def held(self) -> int:
        return len(self._gates.held)

    async def wait_held(self, count: int = 1, timeout_s: float = 5.0) -> None:
        await self.until(lambda: self.held >= count, f"{count} held replies", timeout_s)

    async def wait_idle(self, timeout_s: float = 5.0) -> None:
        await self.until(lambda: self.running == 0, "all answers to end", timeout_s)

    async def wait_no_connections(self, timeout_s: float = 5.0) -> None:
        await self.until(lambda: not self._connections, "all connections to close", timeout_s)

    # --- life

    async def __aenter__(self) -> Self:
        await self.start_listening()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self._closed = True
        tasks = list(self._connections.values())
        await self._drop_connections(busy=True)
        if tasks:
            await asyncio.wait(tasks)
        if server is not None:
            await server.wait_closed()

    async def _drop_connections(self, *, busy: bool) -> None:
        dropped = [one for one in self._connections if busy or not one.busy]
        for connection in dropped:
            connection.drop()
        await self.until(lambda: not self._connections.keys() & set(dropped), "connections to close")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closed:
            writer.transport.abort()
            return
        connection = Connection(reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._connections[connection] = task
        try:
            if self._resets:
                self._resets -= 1
                connection.reset()
            while (request := await connection.next_request()) is not None:
                connection.busy = True
                self.requests.append(request)
                self.notify()
                if not await self._respond(connection, request):
                    break
                self.notify()
        except ConnectionError:
            connection.abort()
        finally:
            await connection.close()
            del self._connections[connection]
            self.notify()

    # --- answering

    async def _respond(self, connection: Connection, request: Request) -> bool:
        """Answer one request; False when the connection must not be used again."""
        if (request.method, request.path) == ("POST", "/api/chat"):
            return await self._chat(connection, request.body)
        if (request.method, request.path) == ("POST", "/api/generate"):
            return await self._preload(connection, request.body)
        if (request.method, request.path) == ("POST", "/api/embed"):
            self.embeds.append(request.body)
            reply = self._embed_replies.popleft() if self._embed_replies else Reply()
            return await play_embed(connection, request.body, self.models, reply, self._gates)
        await connection.send_whole(manage(request, self.models, self.residency), with_body=request.method != "HEAD")
        return True

    async def _chat(self, connection: Connection, chat: JsonObject) -> bool:
        name = chat.get("model", "")
        model = self.models.get(with_tag(name))
        if model is not None and not chat.get("messages"):
            return await self._preload(connection, chat)
        index = len(self.chats)
        self.chats.append(chat)
        self.notify()
        reusable = await _unless_gone(connection, self._answer(connection, chat, model))
        by_client = reusable is None and not connection.dropped
        (self.disconnects if by_client else self.finished).append(index)
        self.notify()
        return bool(reusable)

    async def _preload(self, connection: Connection, body: JsonObject) -> bool:
        """`/api/generate` without a prompt, or a chat without messages: loads a model."""
        self.preloads.append(body)
        self.notify()
        return bool(await _unless_gone(connection, self._load(connection, body)))

    async def _load(self, connection: Connection, body: JsonObject) -> bool:
        model = self.models.get(with_tag(body.get("model", "")))
        reply = self._load_replies.popleft() if self._load_replies else Reply()
        await self._gates.hold(reply, BEFORE_HEADERS)
        if reply.reset_at_once:
            connection.reset()
            return False
        await connection.send_whole(reply.instead or preload(model, body, self.residency))
        return True

    async def _answer(self, connection: Connection, chat: JsonObject, model: Model | None) -> bool:
        refused = refusal(chat, model)
        reply = Reply(instead=refused) if refused else self._next_reply(chat)
        load_ns = load(model, chat, self.residency) if model and not reply.instead else 0
        await self._gates.hold(reply, BEFORE_HEADERS)
        if reply.reset_at_once:
            connection.reset()
            return False
        if chat.get("stream", True) and reply.instead is None:
            return await play_stream(connection, reply, reply.lines(chat, load_ns=load_ns), self._gates)
        whole = reply.instead or reply.whole(chat, load_ns=load_ns)
        await self._gates.hold(reply, *range(len(reply.pieces) + 1))
        await connection.send_whole(whole)
        return whole.sent is None

    def _next_reply(self, chat: JsonObject) -> Reply:
        name = with_tag(chat["model"])
        for key in (name, None):
            if self._queues[key]:
                return _made(self._queues[key].popleft(), chat)
        for key in (name, None):
            if key in self._defaults:
                return _made(self._defaults[key], chat)
        if isinstance(chat.get("format"), dict):
            return Reply.json(smallest(chat["format"]))
        return Reply.json({}) if chat.get("format") == "json" else Reply.text("ok")


async def _unless_gone(connection: Connection, answering: Coroutine[Any, Any, bool]) -> bool | None:
    """Whether the connection may be used again; None where the client hung up before the answer was whole."""
    answer = asyncio.create_task(answering)
    gone = asyncio.create_task(connection.gone.wait())
    await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
    hung_up = not answer.done() or isinstance(answer.exception(), ConnectionError)
    for task in (answer, gone):
        task.cancel()
    await asyncio.wait({answer, gone})
    if hung_up:
        connection.abort()
        return None
    return answer.result()


def _made(script: Script, chat: JsonObject) -> Reply:
    return script if isinstance(script, Reply) else script(chat)


async def _run(port: int, text: str, interval_s: float) -> None:
    pieces = [word + " " for word in text.split(" ")]
    async with ScriptedOllama(port=port) as ollama:
        ollama.default(Reply.text(*pieces).drip(interval_s))
        sys.stdout.write(f"{ollama.base_url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="A scripted Ollama with the three reference models.")
    parser.add_argument("--port", type=int, default=11500)
    parser.add_argument("--text", default="Hello from the scripted Ollama.")
    parser.add_argument("--interval", type=float, default=0.0, help="seconds between words")
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(arguments.port, arguments.text, arguments.interval))


if __name__ == "__main__":
    main()

"""The child process: `python -m backends.embedded.serve`, started by `launcher.EmbeddedBackend` alone.

It loads the packaged model into llama.cpp, serves Ollama's API on a loopback port of the system's choice, says
on its standard output `{"port": …, "model": …, "window_tokens": …}` in one line, and ends when its standard
input ends: that pipe is held by the parent, and the system closes it however the parent dies.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import secrets
import socket
import threading
from pathlib import Path
from typing import Any

import uvicorn
import xllamacpp

from backends.embedded.app import EmbeddedApp, Routes
from backends.embedded.chat import Chat
from backends.embedded.gguf import read_model_file
from backends.embedded.keep_alive import Residency
from backends.embedded.llama import LlamaServer
from backends.embedded.manage import Management
from backends.embedded.model import MODEL_NAME, LoadedModel
from backends.embedded.spawn import KEY_VARIABLE, MODEL_PACKAGE

WINDOW_TOKENS = 8192
# States of other conversations kept beside the one in the slot, at 23 kB a token: some 23,000 tokens.
PROMPT_CACHE_MIB = 512
# Each waiting request holds one of llama-server's HTTP threads.
HTTP_THREADS = 32
# A client that has gone is noticed between batches, after two of them at most: 0.4 s at 150 tokens a second, 0.9 s at
# 70. Twice as many would be read with about a twentieth less CPU time, and take twice as long.
BATCH_TOKENS = 32
SHUTDOWN_GRACE_S = 1
_LOG_ERRORS = 1
_STDIN, _STDOUT, _STDERR = 0, 1, 2


def main() -> None:
    """Run until the standard input ends or a signal comes."""
    threading.Thread(target=_end_with_parent, daemon=True, name="end-with-parent").start()
    # Whatever the library prints must not stand before the line that the parent reads.
    announce_fd = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    key = os.environ.pop(KEY_VARIABLE)
    asyncio.run(_serve(find_model(), key, announce_fd))
    # llama.cpp's destructor waits for the prompt it is reading, which may take minutes.
    os._exit(0)


def find_model() -> Path:
    """The GGUF inside the model's package, which is never imported: its own imports are not installed."""
    spec = importlib.util.find_spec(MODEL_PACKAGE)
    places = spec.submodule_search_locations if spec else None
    found = [file for place in places or () for file in sorted(Path(place).glob("*.gguf"))]
    if not found:
        raise FileNotFoundError(f"package {MODEL_PACKAGE} holds no GGUF file")
    return found[0]


async def _serve(path: Path, key: str, announce_fd: int) -> None:
    inner_key = secrets.token_urlsafe()
    server = start_llama(path, inner_key)
    async with LlamaServer(server.listening_address, inner_key) as llama:
        properties = await llama.properties()
        model = LoadedModel(
            file=read_model_file(path),
            template=str(properties["chat_template"]),
            quantization=str(properties["model_ftype"]),
            window_tokens=int(properties["default_generation_settings"]["n_ctx"]),
            llama=llama,
            residency=Residency(),
        )
        with socket.create_server(("127.0.0.1", 0)) as listener:
            config = uvicorn.Config(
                EmbeddedApp(_routes(model), key),
                lifespan="off",
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
            )
            # The socket listens already: a connection made before uvicorn takes over waits in its backlog.
            _announce(announce_fd, listener.getsockname()[1], model)
            await uvicorn.Server(config).serve(sockets=[listener])


def start_llama(path: Path, key: str) -> Any:
    """A running llama-server on a loopback port; raises `RuntimeError` when the model cannot be loaded."""
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = WINDOW_TOKENS
    params.n_parallel = 1
    params.n_batch = BATCH_TOKENS
    params.n_ubatch = BATCH_TOKENS
    # On a processor, flash attention takes twice the time for a prompt of 4,000 tokens.
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.n_threads_http = HTTP_THREADS
    params.port = 0
    params.api_keys = [key]
    params.cors_origins = ""
    params.ui = False
    params.endpoint_slots = False
    # A full window ends the answer with "length"; shifting would throw away the oldest text in silence.
    params.ctx_shift = False
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.verbosity = _LOG_ERRORS
    return xllamacpp.Server(params)


def _routes(model: LoadedModel) -> Routes:
    management, chat = Management(model), Chat(model)
    return {
        "/": ("GET", management.root),
        "/api/version": ("GET", management.version),
        "/api/tags": ("GET", management.tags),
        "/api/ps": ("GET", management.ps),
        "/api/show": ("POST", management.show),
        "/api/chat": ("POST", chat.chat),
        "/api/tokenize": ("POST", chat.count),
    }


def _announce(fd: int, port: int, model: LoadedModel) -> None:
    line = {"port": port, "model": MODEL_NAME, "window_tokens": model.window_tokens}
    with os.fdopen(fd, "w", encoding="ascii") as out:
        out.write(json.dumps(line) + "\n")


def _end_with_parent() -> None:
    while os.read(_STDIN, 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()

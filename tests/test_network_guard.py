from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.conftest import OLLAMA_PORT, OUR_VARIABLES

BLOCKED = "tests may use loopback only"


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_connections_away_from_this_machine_are_blocked(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        with pytest.raises(RuntimeError, match=BLOCKED):
            sock.connect((host, 80))
        with pytest.raises(RuntimeError, match=BLOCKED):
            sock.connect_ex((host, 80))


async def test_names_are_not_looked_up() -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(RuntimeError, match=BLOCKED):
            await client.get("http://ollama.com/")
        with pytest.raises(httpx.ConnectError):
            await client.get("http://nowhere.invalid/")


async def test_the_real_ollama_is_out_of_reach() -> None:
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", OLLAMA_PORT)) == errno.ECONNREFUSED
    with pytest.raises(OSError, match=r"Connect call failed|refused"):
        await asyncio.open_connection("localhost", OLLAMA_PORT)


def test_the_environment_is_clean() -> None:
    assert not set(OUR_VARIABLES) & os.environ.keys()
    assert os.environ["HF_HUB_OFFLINE"] == "1"


async def test_loopback_and_unix_sockets_and_children_still_work(tmp_path: Path) -> None:
    left, right = socket.socketpair()
    with left, right, socket.create_server(("127.0.0.1", 0)) as listening:
        socket.create_connection(listening.getsockname()).close()
    if hasattr(socket, "AF_UNIX"):
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind(str(tmp_path / "s"))
            server.listen()
            client.connect(str(tmp_path / "s"))
    command = [sys.executable, "-c", "print('alive')"]
    assert await asyncio.to_thread(subprocess.check_output, command, text=True) == "alive\n"

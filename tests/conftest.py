"""No test reaches the network, or an Ollama that happens to run here: only loopback, and not Ollama's own port.

Children are not covered by the patch; they inherit an environment without our variables.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import settings

OLLAMA_PORT = 11434
OUR_VARIABLES = (
    "OLLAMA_BASE_URL",
    "HOST",
    "PORT",
    "LOG_LEVEL",
    "VECTOR_STORE_PATH",
    "MODEL_CACHE_DIR",
    "API_KEY",
    "QDRANT_API_KEY",
    "ROUTER_CONFIG_DIR",
)
RESERVED_DOMAINS = (".invalid", ".test", ".example")

_patch = pytest.MonkeyPatch()

settings.register_profile("suite", deadline=None)
# What CI judges is the change, not the luck of a draw: the same examples each time. `make test` looks for new ones.
settings.register_profile("gate", deadline=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


class NetworkBlockedError(RuntimeError):
    """No `OSError`: code under test must not take it for a server that is down."""


class SteadyLoggers(dict[str, Any]):
    """pytest goes through all loggers before each test, while a thread of the one before may import what makes more."""

    def values(self) -> Any:
        return list(super().values())


def pytest_configure() -> None:
    _patch.setattr(logging.root.manager, "loggerDict", SteadyLoggers(logging.root.manager.loggerDict))
    _patch.setattr(socket.socket, "connect", _guarded_connect(socket.socket.connect))
    _patch.setattr(socket.socket, "connect_ex", _guarded_connect_ex(socket.socket.connect_ex))
    _patch.setattr(socket, "getaddrinfo", _guarded_getaddrinfo(socket.getaddrinfo))
    for variable in OUR_VARIABLES:
        _patch.delenv(variable, raising=False)
    _patch.setenv("HF_HUB_OFFLINE", "1")


def pytest_unconfigure() -> None:
    _patch.undo()


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A test that sets logging up points it at its own captured output, which is closed for those that come after."""
    ours, handlers, level = structlog.get_config(), list(logging.root.handlers), logging.root.level
    yield
    structlog.configure(**ours)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def _guarded_connect(connect: Callable[..., None]) -> Callable[..., None]:
    def guarded(self: socket.socket, address: Any) -> None:
        if _is_ollama_port(self, address):
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        connect(self, address)

    return guarded


def _guarded_connect_ex(connect_ex: Callable[..., int]) -> Callable[..., int]:
    def guarded(self: socket.socket, address: Any) -> int:
        return errno.ECONNREFUSED if _is_ollama_port(self, address) else connect_ex(self, address)

    return guarded


def _guarded_getaddrinfo(getaddrinfo: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(host: bytes | str | None, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name and name.endswith(RESERVED_DOMAINS):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if name and not _is_address(name):
            _check_loopback(name)
        return getaddrinfo(host, *args, **kwargs)

    return guarded


def _is_ollama_port(sock: socket.socket, address: Any) -> bool:
    """Raises for what is not on this machine."""
    if sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return False
    _check_loopback(str(address[0]))
    return int(address[1]) == OLLAMA_PORT


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _check_loopback(host: str) -> None:
    if host in {"", "localhost"}:
        return
    if _is_address(host):
        address = ipaddress.ip_address(host.partition("%")[0])
        if address.is_loopback or address.is_unspecified:
            return
    raise NetworkBlockedError(f"A test tried to reach {host}: tests may use loopback only (tests/conftest.py).")

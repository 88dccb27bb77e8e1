"""The socket the service listens on, and who may reach it there."""

from __future__ import annotations

import socket
import sys
from ipaddress import ip_address

from config.errors import ConfigError
from config.settings import Settings


def listen(settings: Settings) -> socket.socket:
    """The listening socket; raises `ConfigError` where host or port cannot be had, or would be open to everybody."""
    server = settings.server
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            server.host, server.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        if settings.api_key is None and not is_loopback(str(address[0])):
            raise ConfigError(
                f"Other machines could use models and read memory banks through {server.host} ({address[0]}) without a "
                "key: set API_KEY to a secret of yours, or HOST=127.0.0.1."
            )
        listening = socket.socket(family, kind, protocol)
        if sys.platform != "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except socket.gaierror as error:
        raise ConfigError(
            f"HOST={server.host} is no address of this machine ({error.strerror}): set HOST=127.0.0.1, or unset it."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"Cannot listen on {server.host} port {server.port} ({error.strerror}): stop what listens there, or choose "
            f"another with PORT={server.port + 1}."
        ) from error
    return listening


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches it; an IPv6 address may name its zone (`fe80::1%eth0`)."""
    return ip_address(address.partition("%")[0]).is_loopback

"""By which names the service may be called. A page whose own name was rebound to this machine sends that name."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

_HOST = re.compile(r"(\[[^\[\]]+\]|[^\[\]:]+)(:\d*)?")

Address = IPv4Address | IPv6Address


def is_known_host(header: str, known: Collection[str], connected_to: str | None) -> bool:
    """Whether a `Host` header names this machine by a loopback name, one of `known`, or the address of the connection.

    Ports and case do not count. An address needs no list: what is reached by address was not rebound.
    """
    match = _HOST.fullmatch(header.strip())
    if match is None:
        return False
    name = _plain(match.group(1).strip("[]"))
    if name == "localhost" or name in {_plain(each) for each in known}:
        return True
    address = as_address(name)
    return address is not None and (address.is_loopback or address == as_address(connected_to or ""))


@lru_cache(maxsize=64)
def as_address(name: str) -> Address | None:
    """The IP address a text is, without its zone; an IPv4 one also where it is written as IPv6; None for a name."""
    try:
        address = ip_address(name.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _plain(name: str) -> str:
    """One spelling of a name: lower case, no final dot, addresses in their short form."""
    address = as_address(name)
    return str(address) if address else name.lower().removesuffix(".")

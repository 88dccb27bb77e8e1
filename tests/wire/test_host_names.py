"""By which `Host` headers the service may be called: a rebound page sends its own name, whatever it resolves to."""

import pytest

from wire.host_names import is_known_host

KNOWN = {"127.0.0.1", "router.lan", "FD00::2"}


@pytest.mark.parametrize(
    "header",
    [
        "localhost",
        "localhost:8000",
        "LocalHost.:8000",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.8.9.1:8000",
        "[::1]",
        "[::1]:8000",
        "[0:0:0:0:0:0:0:1]:8000",
        "[::ffff:127.0.0.1]:8000",
        "router.lan",
        "ROUTER.lan:9000",
        "[fd00::2]:8000",
        "192.168.1.5:8000",
    ],
)
def test_names_of_this_machine(header: str) -> None:
    assert is_known_host(header, KNOWN, "192.168.1.5")


@pytest.mark.parametrize(
    "header",
    [
        "",
        ":8000",
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example/localhost",
        "localhost@evil.example",
        "localhost, evil.example",
        "localhost:8000:8000",
        "[::1",
        "::1",
        "[localhost]x",
        "sub.router.lan",
        "192.168.1.6",
        "0.0.0.0",
        "[fe80::1]",
        "127.1",
        "2130706433",
    ],
)
def test_any_other(header: str) -> None:
    assert not is_known_host(header, KNOWN, "192.168.1.5")


@pytest.mark.parametrize(
    ("connected_to", "known"), [("::ffff:192.168.1.5", True), ("fe80::1%eth0", False), (None, False)]
)
def test_the_address_of_the_connection(connected_to: str | None, known: bool) -> None:
    assert is_known_host("192.168.1.5", KNOWN, connected_to) is known
    assert not is_known_host("test", KNOWN, "test"), "a name is never an address, whoever says so"

"""Keys and passwords in a text are replaced before the text goes anywhere: into an index, a prompt or a log.

Memory banks are prose about code: what is only named, described or left to be filled in stays as it is.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import NamedTuple

from retrievers.known_tokens import known_tokens
from retrievers.named_secrets import named_secrets
from retrievers.secret_values import is_filled_in, is_unspoken

KEY_BLOCK_CHARS = 32_768

_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BLOCK_END = re.compile(r"-----END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----")
_KEY_LINES = re.compile(r"(?:(?:\\[nr]|[\s>\"',])*+[A-Za-z0-9+/]{16,}+={0,2})++")
_KEY_RUN = re.compile(r"[A-Za-z0-9+/]{32}")
_URL_PASSWORD = re.compile(r"://(?P<user>[^\s/:@?#\"'`<>]{0,128}):(?P<password>[^\s/\"'`<>]{1,256})@(?=[\w\[])")
_URL_STAND_INS = frozenset({"password", "passwd", "pass", "pwd", "secret", "token", "changeme", "xxx"})
# Without their first letters, which may be large or small: a search for plain text is the quickest.
_BEARER = re.compile(r"earer[ \t]{1,8}(?P<token>[A-Za-z0-9_.~+/-]{16,4096}={0,2})")
_BASIC = re.compile(r"asic[ \t]{1,8}(?P<token>[A-Za-z0-9+/]{8,4096}={0,2})")


class _Secret(NamedTuple):
    start: int
    stop: int
    label: str


def redact(text: str) -> tuple[str, int]:
    """The text with `[redacted: <what it was>]` for each key and password, and how many there were.

    Every line stays where it is. Takes time linear in the text's length.
    """
    secrets = list(_merged(_secrets(text)))
    if not secrets:
        return text, 0
    parts: list[str] = []
    at = 0
    for start, stop, label in secrets:
        parts += (text[at:start], f"[redacted: {label}]", "\n" * text.count("\n", start, stop))
        at = stop
    return "".join((*parts, text[at:])), len(secrets)


def _secrets(text: str) -> Iterator[_Secret]:
    """In no order, those first that say best what they are."""
    yield from _key_blocks(text)
    yield from (_Secret(token.start, token.stop, token.label) for token in known_tokens(text))
    yield from _url_passwords(text)
    yield from _credentials(text)
    yield from (_Secret(secret.start, secret.stop, secret.label) for secret in named_secrets(text))


def _merged(secrets: Iterator[_Secret]) -> Iterator[_Secret]:
    """In order, overlapping ones as one."""
    last: tuple[int, int, int, str] | None = None
    for start, stop, rank, label in sorted((one.start, one.stop, rank, one.label) for rank, one in enumerate(secrets)):
        if last is not None and start < last[1]:
            better = min((last[2], last[3]), (rank, label))
            last = (last[0], max(stop, last[1]), *better)
            continue
        if last is not None:
            yield _Secret(last[0], last[1], last[3])
        last = (start, stop, rank, label)
    if last is not None:
        yield _Secret(last[0], last[1], last[3])


def _key_blocks(text: str) -> Iterator[_Secret]:
    at = 0
    while (begin := _KEY_BLOCK.search(text, at)) is not None:
        at = begin.end()
        end = _KEY_BLOCK_END.search(text, at, at + KEY_BLOCK_CHARS)
        whole = end is not None and "-----BEGIN" not in text[at : end.start()]
        if whole and end is not None and _KEY_RUN.search(text, at, end.start()):
            at = end.end()
            yield _Secret(begin.start(), at, "private key")
            continue
        # Nobody closed it: what goes on like a key is one.
        lines = _KEY_LINES.match(text, at)
        if lines is not None and _KEY_RUN.search(text, at, lines.end()):
            at = lines.end()
            yield _Secret(begin.start(), at, "private key")


def _url_passwords(text: str) -> Iterator[_Secret]:
    for found in _URL_PASSWORD.finditer(text):
        password = found["password"]
        if password.casefold() not in {*_URL_STAND_INS, found["user"].casefold()} and is_filled_in(password):
            yield _Secret(*found.span("password"), "password in a URL")


def _credentials(text: str) -> Iterator[_Secret]:
    """What stands in `Authorization` headers."""
    for found in _BEARER.finditer(text):
        if is_filled_in(found["token"]) and is_unspoken(found["token"]):
            yield _Secret(*found.span("token"), "bearer token")
    for found in _BASIC.finditer(text):
        if _is_user_and_password(found["token"]):
            yield _Secret(*found.span("token"), "user and password")


def _is_user_and_password(encoded: str) -> bool:
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    return ":" in decoded and decoded.isprintable()

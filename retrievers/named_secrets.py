"""Secrets that show by the name they are given: `DB_PASSWORD=…`, `"apiKey": "…"`, `the token is …`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from retrievers.secret_values import is_key, is_password, is_plain_password

MIN_VALUE_CHARS = 6

# All on small letters; each alternative begins with a plain letter, and no part may be long: so a search is quick.
_NAME = (
    r"(?P<name>pass(?:word|wd|phrase|code)?|pwd|token|credential|secret(?:[ _-]?(?:access[ _-]?)?key)?"
    r"|(?:api|access|account|auth|private|signing|encryption|master)[ _-]?key|key)"
    r"(?:[ _-]?(?:base|prod|production|dev|development|staging|live|v?\d{1,2}))?"
)
_SEPARATOR = (
    r"(?:\\?[\"'`]\]?)?\*{0,2}"
    r"(?:[ \t]{0,20}(?::[ \t]{0,8}[a-z][\w.]{1,30}[ \t]{0,8}=|:=|=>|==?|::?|\||>)\*{0,2}[ \t]{0,20}"
    r"|[ \t]{1,8}(?:is|was)[ \t]{0,2}:?[ \t]{1,8})"
)
_NAMED = re.compile(_NAME + _SEPARATOR)
_FLAG = re.compile(r"--(?:[a-z][a-z0-9-]{0,32}?)?(?P<name>password|passphrase|token|secret|key)[ \t]{1,4}")
_VALUE = re.compile(
    r"[bruf]{0,2}(?:\\\"(?P<a>[^\"\\\n]{1,1024})\\\"|\"(?P<b>[^\"\n]{1,1024})\"|'(?P<c>[^'\n]{1,1024})'"
    r"|`(?P<d>[^`\n]{1,1024})`)|\\?[\"'`]?(?P<bare>[^\s\"'`<>|;&=:,]{1,1024})"
)
_REST = re.compile(r"[^\s\"'`<>|;&,]{0,4096}")
_SAID = re.compile(r"[ \t](?:is|was)[ \t:]")
# Nothing follows but what ends a value, or a comment.
_END = re.compile(r"[\"'`,;)}\]]{0,4}[ \t]{0,20}(?:$|\n|#|//|\|)")
_PUBLIC = re.compile(r"(?:public|publishable|anon)[ _-]?")


@dataclass(frozen=True, slots=True)
class NamedSecret:
    """Where in a text a value stands, and what its name says it is."""

    start: int
    stop: int
    label: str


def named_secrets(text: str) -> Iterator[NamedSecret]:
    """All of them; not what is described, computed, read from elsewhere or left to be filled in."""
    small = text.lower()
    if len(small) != len(text):
        small = text.replace("\u0130", "I").lower()  # the one character that grows when made small
    for pattern in (_NAMED, _FLAG):
        at = 0
        # A value that is no secret may hold a name and a value of its own.
        while (found := pattern.search(small, at)) is not None:
            secret = _secret(text, small, found)
            if secret is not None:
                yield secret
            at = found.end() if secret is None else max(secret.stop, found.end())


def _secret(text: str, small: str, name: re.Match[str]) -> NamedSecret | None:
    value = _VALUE.match(text, name.end())
    if value is None or value.end() - value.start() < MIN_VALUE_CHARS:
        return None
    label = _label(text, small, name)
    if label is None:
        return None
    group = value.lastgroup or "bare"
    start, stop = value.span(group)
    quoted = group != "bare"
    if not quoted:
        stop = start + len(text[start:stop].rstrip(").}]*_\\"))
    given = text[start:stop]
    is_given = _is_secret(given, label, quoted=quoted, obvious=name["name"] == "key" or "|" in name[0])
    if not is_given and not (_END.match(text, stop) and _is_set(given, label, text, name)):
        return None
    if not quoted:
        rest = _REST.match(text, value.end())
        stop = start + len(text[start : rest.end() if rest else stop].rstrip(").}]*_\\"))
    return NamedSecret(start, stop, label)


def _is_secret(value: str, label: str, *, quoted: bool, obvious: bool) -> bool:
    if label == "password":
        return is_password(value, quoted=quoted)
    return is_key(value, only_if_obvious=obvious)


def _is_set(value: str, label: str, text: str, name: re.Match[str]) -> bool:
    """Whether `value`, that stands alone behind the name of a setting or a field, is such as people invent."""
    if name["name"] == "key" or _SAID.search(name[0]):
        return False
    is_constant = text[slice(*name.span("name"))].isupper()
    if label != "password":
        return is_constant and is_plain_password(value)
    is_field = name["name"] != "pass" or text[name.start() - 1 : name.start()] in {"_", "-"}
    if not is_constant and not is_field:
        return False
    return is_password(value, quoted=True) or is_plain_password(value, any_word=is_constant and name[0].endswith("="))


def _label(text: str, small: str, name: re.Match[str]) -> str | None:
    """What the value would be; None if the name only ends like one of ours."""
    word, start = name["name"], name.start("name")
    if word.startswith("p") and not word.startswith("private"):
        return "password"
    if word != "key":
        return next((label for label in ("token", "secret", "credential") if word.startswith(label)), "key")
    joined = text[start - 1 : start].isalpha() and not (text[start].isupper() and text[start - 1].islower())
    return None if joined or _PUBLIC.search(small, max(0, start - 12), start) else "key"

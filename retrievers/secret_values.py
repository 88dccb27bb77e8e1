"""Whether a string is a secret by its looks: made at random, or as people make passwords; no name, no placeholder."""

from __future__ import annotations

import re
import string
from itertools import pairwise

# What lies beyond says nothing more about how random a value is.
_MEASURED_CHARS = 128
_MIN_SWITCHES = 4
_SWITCH_SHARE = 0.22
_SWITCH_SHARE_IN_ONE_CASE = 0.12
_MOST_IN_WORDS = 0.6
_SYMBOLS = "!@#$%^&*?+~"
_STRONG_SYMBOLS = "!@#$%^&~"
_MIN_LONG_CHARS = 32
_MIN_PASSWORD_CHARS = 8
_MIN_QUOTED_PASSWORD_CHARS = 6
_CLASSES = {
    **dict.fromkeys(range(128), "."),
    **dict.fromkeys(map(ord, string.ascii_lowercase), "l"),
    **dict.fromkeys(map(ord, string.ascii_uppercase), "u"),
    **dict.fromkeys(map(ord, string.digits), "d"),
    **dict.fromkeys(map(ord, _SYMBOLS), "s"),
}
# A capital before small letters begins a word, in names as in prose.
_SWITCHES = frozenset(one + other for one in "luds" for other in "luds" if one != other and one + other != "ul")

_ONE_CASE = re.compile(r"[a-z0-9]+|[A-Z0-9]+=*")
_CASED_WORD = re.compile(r"[A-Za-z][a-z]{3,}")
_HEX_OR_UUID = re.compile(
    r"(?=.{0,16}[a-f])(?=.{0,16}\d)[0-9a-f]{16,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
)
_OBVIOUS = re.compile(r"[A-Za-z0-9+/=_.-]{20,}")
_LONG_RUN = re.compile(r"[A-Za-z0-9]{20}")
_ETHEREUM_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_GAP_AT_START = re.compile(r"[<\[{(]|\$[A-Za-z_{(]|%[A-Za-z_(]|#\{|ENC\[|![A-Za-z]+[ (]")
_GAP = re.compile(r"\.\.\.|…|\*{3}|_{4}|process\.env|import\.meta|environ|getenv|secrets\.|env\.")
_PATH_OR_DIGEST = re.compile(
    r"(?:\.{1,2}|~|[A-Za-z]:)[/\\]|/(?:[a-z][a-z0-9_.-]*/|[\w.-]+$)|\w+://|(?:sha|md)\d+[:-]", re.IGNORECASE
)
_STAND_INS = re.compile(
    r"your|example|sample|placeholder|change.?(?:me|it|this)|replace|insert|dummy|fake|redacted|hidden|masked|todo"
    r"|some.?(?:thing|value)|xxx",
    re.IGNORECASE,
)
_WELL_KNOWN = re.compile(
    r"(?:hs|rs|es|sha|aes|md|utf|base|oauth|pbkdf|argon|bcrypt|scrypt)-?\d\w*|x509|ed25519|p(?:256|384|521)|v\d[\d.]*",
    re.IGNORECASE,
)
_PASSWORD_WORDS = frozenset({"pass", "password", "passwd", "passphrase", "pwd", "secret", "token", "test"})
# What a schema or a form says of a password instead of giving one.
_DESCRIBING = (
    "string text varchar char bytes binary base number integer boolean bool object unknown void null none undefined "
    "true false required optional mandatory missing empty unset default hashed encrypted plain plaintext enabled "
    "disabled input field prompt username name email credentials oauth session cookie header version step phase "
    "level bearer"
)
_DESCRIBING_WORDS = _PASSWORD_WORDS.union(_DESCRIBING.split())
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.\w+")
_NUMBERED = re.compile(r".*[^\d.]\d{2,6}")
_SYMBOL_INSIDE = re.compile(r"\w[!@#$%^&~]+\w")


def looks_random(value: str, *, min_chars: int = 12) -> bool:
    """Whether letters, digits and case change as often in `value` as they only do where nobody chose them.

    Names and words keep to one kind of character for long stretches, also camel case and version numbers.
    """
    classes = value[:_MEASURED_CHARS].translate(_CLASSES)
    counted = sum(map(classes.count, "luds"))
    if len(value) < min_chars or len(set(value)) * 2 < min(counted, 16):
        return False
    share = _SWITCH_SHARE_IN_ONE_CASE if _ONE_CASE.fullmatch(value) else _SWITCH_SHARE
    switches = sum(one + other in _SWITCHES for one, other in pairwise(classes))
    in_words = sum(map(len, _CASED_WORD.findall(value[:_MEASURED_CHARS])))
    mixed = "u" in classes and "l" in classes
    if mixed and in_words > _MOST_IN_WORDS * counted:
        return False
    if mixed and "d" in classes and counted >= _MIN_LONG_CHARS and in_words * 2 < counted:
        share /= 2
    return switches >= max(_MIN_SWITCHES, share * counted)


def is_unspoken(value: str) -> bool:
    """Whether `value` is no words joined: it looks random, or runs on longer than words do and has a digit, as the
    alphabet in an example that shows what a key looks like.
    """
    return looks_random(value) or (_LONG_RUN.search(value) is not None and any(char.isdigit() for char in value))


def is_filled_in(value: str) -> bool:
    """Whether `value` is more than a variable, a template's gap or one character repeated."""
    if len(set(value)) * 4 < min(len(value), 20):
        return False
    return _GAP_AT_START.match(value) is None and _GAP.search(value) is None


def is_key(value: str, *, only_if_obvious: bool = False) -> bool:
    """Whether `value`, that stands where a key, a token or a secret would, is one.

    `only_if_obvious` is for places where other things stand just as often: hashes, UUIDs and whatever is short
    is none there.
    """
    if not _may_be_secret(value) or _ETHEREUM_ADDRESS.fullmatch(value):
        return False
    if _HEX_OR_UUID.fullmatch(value):
        return not only_if_obvious
    return looks_random(value) and (not only_if_obvious or _OBVIOUS.fullmatch(value) is not None)


def is_password(value: str, *, quoted: bool) -> bool:
    """Whether `value`, that stands where a password would, is one; people's own are less random than keys."""
    if is_key(value):
        return True
    letters = "".join(filter(str.isalpha, value)).casefold()
    least = _MIN_QUOTED_PASSWORD_CHARS if quoted else _MIN_PASSWORD_CHARS
    if len(value) < least or not letters or "/" in value or not _may_be_secret(value):
        return False
    if _EMAIL.search(value) or _STAND_INS.search(value) or _WELL_KNOWN.fullmatch(value.rstrip(_SYMBOLS)):
        return False
    if _SYMBOL_INSIDE.search(value) or looks_random(value, min_chars=_MIN_QUOTED_PASSWORD_CHARS):
        return True
    if not any(char.isdigit() for char in value):
        return False
    return value[-1] in _STRONG_SYMBOLS or bool(_NUMBERED.fullmatch(value) and letters not in _DESCRIBING_WORDS)


def is_plain_password(value: str, *, any_word: bool = False) -> bool:
    """Whether `value`, that stands alone where a password or a secret is set, is a word and a number, as `hunter2`; or,
    with `any_word`, a word that says nothing of what should stand there.
    """
    if not _may_be_secret(value) or _STAND_INS.search(value) or _WELL_KNOWN.fullmatch(value):
        return False
    word = value.rstrip(string.digits)
    if len(value) < _MIN_QUOTED_PASSWORD_CHARS or not word.isalpha() or word.casefold() in _DESCRIBING_WORDS:
        return False
    return word != value or (any_word and value.islower() and value.isascii())


def _may_be_secret(value: str) -> bool:
    if "(" in value or any(char.isspace() for char in value) or _PATH_OR_DIGEST.match(value):
        return False
    return is_filled_in(value)

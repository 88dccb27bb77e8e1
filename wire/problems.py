"""What is wrong with a value that pydantic checked, in the service's own words and without the client's text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from config.errors import BadRequest

_NO_TEXT = "must be a text"
_NO_INTEGER = "must be a whole number"
_NO_NUMBER = "must be a number"
_NO_BOOLEAN = "must be true or false"
_NO_LIST = "must be a list"
_NO_OBJECT = "must be an object"
# By pydantic's type of an error; `{}` are what pydantic tells beside it.
_WORDS = {
    "bool_parsing": _NO_BOOLEAN,
    "bool_type": _NO_BOOLEAN,
    "dict_type": _NO_OBJECT,
    "finite_number": _NO_NUMBER,
    "float_parsing": _NO_NUMBER,
    "float_type": _NO_NUMBER,
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": _NO_INTEGER,
    "int_parsing": _NO_INTEGER,
    "int_parsing_size": "is out of range: send a number of fewer digits",
    "int_type": _NO_INTEGER,
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "list_type": _NO_LIST,
    "literal_error": "must be {expected}",
    "missing": "is missing: add it",
    "model_attributes_type": _NO_OBJECT,
    "model_type": _NO_OBJECT,
    "none_required": "must be null",
    "string_too_long": "is too long: send at most {max_length} characters",
    "string_too_short": "is too short: the least is {min_length} character",
    "string_type": _NO_TEXT,
    "string_unicode": _NO_TEXT,
    "too_long": "has {actual_length} entries: send at most {max_length}",
    "too_short": "has {actual_length} entries: send at least {min_length}",
}
_UNKNOWN_VARIANTS = ("union_tag_invalid", "union_tag_not_found")

Problem = Mapping[str, Any]


def first_problem(error: ValidationError, value: Any = None, *, whole: str = "body") -> BadRequest:
    """As `as_bad_request` for the first one."""
    return as_bad_request(error.errors(include_url=False)[0], value, whole=whole)


def as_bad_request(problem: Problem, value: Any = None, *, whole: str = "body") -> BadRequest:
    """One of pydantic's problems of a `value`, if that is known.

    The field is named as `messages[0].content`, or as `whole` where the value itself is wrong.
    """
    field = _field_name(problem["loc"], value, is_missing=problem["type"] == "missing")
    if problem["type"] in _UNKNOWN_VARIANTS:
        field, words = _unknown_variant(field, problem)
    elif problem["type"] in _WORDS:
        words = _WORDS[problem["type"]].format(**problem.get("ctx", {}))
    else:
        message = str(problem["msg"]).removeprefix("Value error, ")
        words = f"{message[:1].lower()}{message[1:]}"
    return BadRequest(f"{field or whole}: {words}.", param=field or whole)


def _unknown_variant(field: str, problem: Problem) -> tuple[str, str]:
    """Field and words for a message of an unknown role, or a part of an unknown type."""
    key, given = problem["ctx"]["discriminator"].strip("'"), problem["input"]
    named = given.get(key) if isinstance(given, dict) else None
    field = f"{field}.{key}" if field else key
    if named is None:
        return field, _WORDS["missing"]
    *others, last = re.findall(r"'([^']+)'", problem["ctx"]["expected_tags"])
    known = f"{', '.join(others)} or {last}" if others else last
    return field, f"{str(named)[:40]!r} is unknown: use {known}"


def _field_name(location: tuple[int | str, ...], value: Any, *, is_missing: bool) -> str:
    """`("messages", 0, "user", "content", "text")` as `messages[0].content`: without variants, which no body holds."""
    name, is_known = "", value is not None
    for depth, part in enumerate(location):
        if isinstance(part, int):
            name += f"[{part}]"
            value = value[part] if isinstance(value, list) and part < len(value) else None
            continue
        if is_known:
            is_field = isinstance(value, dict) and (part in value or (is_missing and depth == len(location) - 1))
        else:
            is_field = part.isidentifier()
        if is_field:
            name += f".{part}" if name else part
            value = value.get(part) if is_known else None
    return name

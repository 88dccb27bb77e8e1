"""Whether a call's arguments fit the schema of the tool it names, and the one coercion that may make them fit."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jsonschema
import orjson
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from backends.json_bytes import json_bytes
from chains.json_schema import checked_dialect

# Strings within strings: a list in a text may itself hold numbers in texts.
MAX_COERCIONS = 3
KEPT_VALIDATORS = 256
# A string, closed or not so that none is looked at twice, or the comma between a last value and the bracket behind it.
_STRING_OR_LAST_COMMA = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*"?)|(?<=[\w"}\]])[ \t\r\n]*,(?=\s*[}\]])', re.DOTALL)


@dataclass(frozen=True, slots=True)
class FittingCall:
    """A call of an offered tool; `arguments` is a JSON text, `coerced` tells that it is not as the model wrote it."""

    name: str
    arguments: str
    coerced: bool = False


class Toolbox:
    """The tools that a request offers."""

    def __init__(self, tools: Sequence[Mapping[str, Any]]) -> None:
        functions = [tool["function"] for tool in tools]
        self._schemas = {str(each["name"]): each.get("parameters") or {"type": "object"} for each in functions}

    @property
    def names(self) -> tuple[str, ...]:
        """The tools' names as offered."""
        return tuple(self._schemas)

    def fit(self, name: str, arguments: Any) -> FittingCall | None:
        """The call where the tool is offered and the arguments fit its schema, as they are or coerced; else None.

        `arguments` is an object or its JSON text; no arguments at all (null, "") are an empty object.
        """
        if name not in self._schemas:
            return None
        given = arguments
        if isinstance(arguments, str) and arguments.strip():
            given = read_json(arguments)
        elif arguments is None or arguments == "":
            given = {}
        validator = _validator(orjson.dumps(self._schemas[name])) if isinstance(given, dict) else None
        if validator is None:
            return None
        try:
            fitting = _fitting(given, validator)
            return None if fitting is None else FittingCall(name, _json_text(fitting), fitting is not arguments)
        # Unresolvable: a reference to elsewhere; nothing is fetched. re.error: a pattern in another language's syntax.
        except (Unresolvable, re.error, RecursionError, UnicodeEncodeError):
            return None


def read_json(text: str) -> Any:
    """The JSON value, with raw line breaks and tabs in its strings, and a comma behind a last value; None if none."""
    value = _value(text)
    if value is None and (mended := _STRING_OR_LAST_COMMA.sub(r"\1", text)) != text:
        return _value(mended)
    return value


def _value(text: str) -> Any:
    try:
        return json.loads(text, strict=False, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _json_text(arguments: Mapping[str, Any]) -> str:
    """Raises `UnicodeEncodeError` for half a surrogate pair, which no client could read."""
    json.dumps(arguments, ensure_ascii=False).encode()
    return json_bytes(arguments).decode()


@lru_cache(KEPT_VALIDATORS)
def _validator(schema_json: bytes) -> Validator | None:
    """None where the tool's schema is no schema: then nothing can be said to fit it."""
    schema = orjson.loads(schema_json)
    try:
        dialect = checked_dialect(schema)
    except (jsonschema.SchemaError, RecursionError):
        return None
    made: Validator = dialect(schema, registry=Registry())
    return made


def _fitting(arguments: dict[str, Any], validator: Validator) -> dict[str, Any] | None:
    for _ in range(MAX_COERCIONS):
        errors = list(validator.iter_errors(arguments))
        if not errors:
            return arguments
        arguments = copy.deepcopy(arguments)
        if not sum(_coerce(arguments, path) for path in {tuple(error.absolute_path) for error in _causes(errors)}):
            return None
    return arguments if validator.is_valid(arguments) else None


def _causes(errors: Iterable[jsonschema.ValidationError]) -> Iterator[jsonschema.ValidationError]:
    """The errors and those within them: `anyOf` tells what each of its branches said."""
    for error in errors:
        yield error
        yield from _causes(error.context or ())


def _coerce(arguments: dict[str, Any], path: Sequence[str | int]) -> bool:
    """Replace a text at `path` that is JSON of something else by that; whether it was."""
    if not path:
        return False
    holder: Any = arguments
    for step in path[:-1]:
        holder = holder[step]
    text = holder[path[-1]]
    try:
        value = orjson.loads(text) if isinstance(text, str) else text
    except orjson.JSONDecodeError:
        return False
    if value is text or isinstance(value, str):
        return False
    holder[path[-1]] = value
    return True

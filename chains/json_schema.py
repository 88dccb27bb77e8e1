"""What a JSON schema says of itself: its dialect, and whether it is one."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import jsonschema
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for


def checked_dialect(schema: dict[str, Any]) -> type[Validator]:
    """The validators of the schema's dialect: that of 2020-12 where it names none, or one that is not known.

    Raises:
        jsonschema.SchemaError: it is no schema in that dialect.
        RecursionError: it nests too deep to be looked at.
    """
    dialect: type[Validator] = jsonschema.Draft202012Validator
    if isinstance(schema.get("$schema"), str):
        with suppress(ValueError):  # what it names is no URL
            dialect = validator_for(schema, default=dialect)
    dialect.check_schema(schema)
    return dialect

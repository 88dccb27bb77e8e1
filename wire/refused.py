"""Fields of an API that nothing here can honour: refused by name, as nobody should believe that they work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BeforeValidator

from config.errors import BadRequest

Refused = Mapping[str, tuple[tuple[Any, ...], str]]
"""By field: the values that ask for nothing (beside null), and why any other is refused."""


def only_tools_of_type(offered: str) -> BeforeValidator:
    """For a tool's type: whatever is not `offered` runs at the API's own provider, or no model here knows it."""

    def check(kind: Any) -> Any:
        if isinstance(kind, str) and kind != offered:
            raise ValueError(
                f"{kind[:40]!r} is no tool that can be had here: leave it out, or offer a tool of type {offered} that "
                "does the same"
            )
        return kind

    return BeforeValidator(check)


def refuse_fields(values: Any, refused: Refused) -> Any:
    """The values as they are; raises `BadRequest` for the first field that asks for something."""
    for field, (harmless, why) in refused.items() if isinstance(values, dict) else ():
        if values.get(field) not in (None, *harmless):
            raise BadRequest(f"{field} is not supported: {why}.", param=field)
    return values

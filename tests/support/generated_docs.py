"""What of the pages follows from the code: `python -m tests.support.generated_docs` (or `make docs`) writes it.

The picture in README is the compiled graph's. In docs/configuration.md each section's keys, their order, units,
defaults and bounds are the schema's; what a key means stands in the page only, and so do bounds that are no number and
no choice.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.schema import MachineSettings, RoleSettings, RoutingRule, RoutingSettings, ServerFile
from graphs.router import build_router_graph

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
GUIDE = ROOT / "docs" / "configuration.md"
REQUIRED = "required"
SECTIONS: Mapping[str, type[BaseModel]] = {
    **{name: type(field.default) for name, field in ServerFile.model_fields.items()},
    "machine": MachineSettings,
    "roles": RoleSettings,
    "routing": RoutingSettings,
    "routing.rules": RoutingRule,
}
UNITS = {
    "_tokens_per_s": "tokens a second",
    "_s": "seconds",
    "_tokens": "tokens",
    "_bytes": "bytes",
    "_gb": "GB",
    "_days": "days",
}
_HEAD = "| Key | Meaning | Unit | Default | Bound |\n|---|---|---|---|---|\n"
_PICTURE = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.DOTALL)

Row = tuple[str, str, str, str]
"""Meaning, unit, default, bound."""


def picture() -> str:
    """The way of a request through the compiled graph, in Mermaid; both ends of it are the client."""
    ends = {"__start__": "client", "__end__": "client"}
    said = {"__start__": "|POST /v1/chat/completions|", "__end__": "|SSE|"}
    lines = ["graph LR", "    client([your agent])"]
    graph = build_router_graph().get_graph()
    places = list(graph.nodes)
    for edge in sorted(graph.edges, key=lambda edge: (places.index(edge.source), places.index(edge.target))):
        arrow = "-.->" if edge.conditional else "-->"
        words = said.get(edge.source) or said.get(edge.target) or ""
        lines.append(f"    {ends.get(edge.source, edge.source)} {arrow}{words} {ends.get(edge.target, edge.target)}")
    return "\n".join(lines) + "\n"


def with_picture(page: str) -> str:
    """The page with the picture in place of its Mermaid block."""
    return _PICTURE.sub(lambda _: picture(), page, count=1)


def documented(page: str, section: str) -> dict[str, Row]:
    """The rows of a section's table by key, as they stand in the page."""
    lines = takewhile(lambda line: line.startswith("|"), _section(page, section).partition(_HEAD)[2].splitlines())
    rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in lines)
    return {key.strip("`"): (meaning, unit, default, bound) for key, meaning, unit, default, bound in rows}


def with_tables(page: str) -> str:
    """The page with every section's table as the schema has it.

    Raises:
        KeyError: a key that the page does not explain yet; give it a row with its meaning.
    """
    for section, schema in SECTIONS.items():
        body = _section(page, section)
        before, _, after = body.partition(_HEAD)
        kept = re.sub(r"\A(?:\|.*\n)*", "", after)
        table = "".join(_lines(section, schema, documented(page, section)))
        page = page.replace(body, before + _HEAD + table + kept)
    return page


def _section(page: str, section: str) -> str:
    return page.split(f"### `{section}`\n", 1)[1].split("\n##", 1)[0]


def _lines(section: str, schema: type[BaseModel], rows: Mapping[str, Row]) -> Iterator[str]:
    for key, field in schema.model_fields.items():
        if key not in rows:
            raise KeyError(f"docs/configuration.md: give {section}.{key} a row that says what it means")
        meaning, _, default, bound = rows[key]
        unit = next((unit for suffix, unit in UNITS.items() if key.endswith(suffix)), "")
        cells = (f"`{key}`", meaning, unit, _default(field, default), _bound(field, bound))
        yield f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in cells)}|\n"


def _default(field: FieldInfo, shown: str) -> str:
    if field.is_required():
        return REQUIRED
    value = field.default
    if isinstance(value, Path):
        return shown if Path(shown.strip("`")) == value else f"`{value.as_posix()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`".replace(".0`", "`")


def _bound(field: FieldInfo, shown: str) -> str:
    found = _choices(field.annotation) or _numbers(field)
    return shown if shown.startswith(found) else found


def _choices(annotation: Any) -> str:
    if annotation is bool:
        return "`true` or `false`"
    if annotation == bool | None:
        return "`true`, `false`, or `null`"
    if get_origin(annotation) is Literal:
        return f"one of {', '.join(f'`{choice}`' for choice in get_args(annotation))}"
    return ""


def _numbers(field: FieldInfo) -> str:
    limits = [*field.metadata]
    for nested in get_args(field.annotation):
        limits += getattr(getattr(nested, "__metadata__", (None,))[0], "metadata", ())
    least = next((limit for limit in limits if isinstance(limit, Ge | Gt)), None)
    most = next((limit.le for limit in limits if isinstance(limit, Le)), None)
    if least is None or most is None:
        return ""
    return f"more than {least.gt}, at most {most}" if isinstance(least, Gt) else f"{least.ge} to {most}"


def main() -> None:
    """Write both pages anew."""
    for path, generated in ((README, with_picture), (GUIDE, with_tables)):
        page = path.read_text(encoding="utf-8")
        path.write_text(generated(page), encoding="utf-8", newline="\n")
        print(path.relative_to(ROOT), file=sys.stderr)


if __name__ == "__main__":
    main()

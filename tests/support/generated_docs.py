"""What of the pages follows from the code: `python -m tests.support.generated_docs` (or `make docs`) writes it.

The picture in README is the compiled graph's, the tables in docs/configuration.md are the schema's.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from config.schema import KEEP_ALIVE, NO_SPACES, MachineSettings, RoleSettings, RoutingRule, RoutingSettings
from config.settings import HOST_NAME, HTTP_URL, ORIGIN, ServerFile
from graphs.router import build_router_graph

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
GUIDE = ROOT / "docs" / "configuration.md"
SECTIONS: dict[str, type[BaseModel]] = {
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
PATTERNS = {
    KEEP_ALIVE: "`-1`, `0`, or a number with `s`, `m` or `h`",
    HTTP_URL: "an http or https URL without a user or password",
    HOST_NAME: "host names",
    ORIGIN: "origins: scheme, name and port, lower case, nothing behind",
    NO_SPACES: "no spaces",
}
_HEAD = "| Key | Meaning | Unit | Default | Bound |\n|---|---|---|---|---|\n"
_PICTURE = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.DOTALL)


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


def table(section: str) -> str:
    """A section's keys as the schema has them: what they mean, their unit, default and bound.

    Raises:
        KeyError: a key without a sentence below it, or a pattern that `PATTERNS` has no words for.
    """
    schema, meanings = SECTIONS[section].model_json_schema(), _meanings(SECTIONS[section])
    rows = (
        _row(key, meanings[key], value, key in schema.get("required", ()))
        for key, value in schema["properties"].items()
    )
    return _HEAD + "".join(f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in cells)}|\n" for cells in rows)


def with_tables(page: str) -> str:
    """The page with the table of every section in place of what stands there."""
    for section in SECTIONS:
        start = page.index(_HEAD, page.index(f"### `{section}`\n"))
        page = page[:start] + table(section) + re.sub(r"\A(?:\|.*\n)*", "", page[start:])
    return page


def _meanings(section: type[BaseModel]) -> dict[str, str]:
    """The sentence below each key. Read here and not by pydantic, which would do so at every start of the service."""
    (written,) = ast.parse(inspect.getsource(section)).body
    assert isinstance(written, ast.ClassDef)
    return {
        ast.unparse(key.target): inspect.cleandoc(str(ast.literal_eval(meaning.value)))
        for key, meaning in pairwise(written.body)
        if isinstance(key, ast.AnnAssign) and isinstance(meaning, ast.Expr)
    }


def _row(key: str, meaning: str, value: Mapping[str, Any], required: bool) -> tuple[str, ...]:
    unit = next((unit for suffix, unit in UNITS.items() if key.endswith(suffix)), "")
    default = "required" if required else f"`{_default(value)}`"
    return f"`{key}`", " ".join(meaning.split()), unit, default, _bound(value)


def _default(value: Mapping[str, Any]) -> str:
    default = value["default"]
    if value.get("format") == "path":
        return f"./{default}"
    return default if isinstance(default, str) else json.dumps(default).replace('"', "")


def _bound(value: Mapping[str, Any]) -> str:
    match value:
        case {"anyOf": [kind, {"type": "null"}]}:
            words = f"{_bound(kind)}, or `null`"
        case {"enum": choices}:
            words = f"one of {_listed(choices)}"
        case {"type": "boolean"}:
            words = "`true` or `false`"
        case {"type": "array", "items": {"enum": choices}}:
            words = f"any of {_listed(choices)}"
        case {"type": "array", "items": items}:
            words = f"a list of {_kinds(items)}{', at least one' if value.get('minItems') else ''}"
        case {"exclusiveMinimum": least, "maximum": most}:
            words = f"more than {_number(least)}, at most {_number(most)}"
        case {"minimum": least, "maximum": most}:
            words = f"{_number(least)} to {_number(most)}"
        case {"format": "path"}:
            words = "a path"
        case _:
            words = _text(value)
    return words


def _kinds(items: Mapping[str, Any]) -> str:
    match items:
        case {"$ref": name}:
            return next(f"`{section}`" for section, schema in SECTIONS.items() if name.endswith(f"/{schema.__name__}"))
        case {"format": "path"}:
            return "paths"
        case {"pattern": pattern}:
            return PATTERNS[pattern]
    return "texts"


def _text(value: Mapping[str, Any]) -> str:
    words = [PATTERNS[value["pattern"]]] if "pattern" in value else []
    match value:
        case {"minLength": least, "maxLength": most}:
            words.insert(0, f"{least} to {most} characters")
        case {"minLength": least}:
            words.insert(0, f"at least {least} character{'' if least == 1 else 's'}")
    return ", ".join(words)


def _listed(choices: Iterable[str]) -> str:
    return ", ".join(f"`{choice}`" for choice in choices)


def _number(value: float) -> str:
    return json.dumps(value).removesuffix(".0")


def main() -> None:
    """Write both pages anew."""
    for path, generated in ((README, with_picture), (GUIDE, with_tables)):
        page = path.read_text(encoding="utf-8")
        path.write_text(generated(page), encoding="utf-8", newline="\n")
        print(path.relative_to(ROOT), file=sys.stderr)


if __name__ == "__main__":
    main()

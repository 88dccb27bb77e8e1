"""The smallest value that satisfies a JSON schema of the plain kind (no `$ref`, no patterns)."""

from __future__ import annotations

from typing import Any


def smallest(schema: dict[str, Any]) -> Any:
    """Deterministic: the first alternative, the first enum value, the lowest number allowed."""
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return smallest(schema[key][0])
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return _of_type(kind[0] if isinstance(kind, list) else kind, schema)


def _of_type(kind: str, schema: dict[str, Any]) -> Any:
    match kind:
        case "object":
            properties = schema.get("properties", {})
            return {name: smallest(properties.get(name, {})) for name in schema.get("required", properties)}
        case "array":
            return [smallest(schema.get("items", {})) for _ in range(schema.get("minItems", 0))]
        case "string":
            return "x" * schema.get("minLength", 0)
        case "integer" | "number":
            return schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    return False if kind == "boolean" else None

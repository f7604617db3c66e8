"""What two JSON Schemas of a method differ in, in words."""

from __future__ import annotations

import json
from typing import Any, cast

#: Differences that are named; a message must stay readable.
_MOST = 12
_MAX_DEPTH = 8
#: Keys of a schema that say nothing about what fits.
_PROSE = frozenset({"title", "description", "$defs", "default", "examples", "properties", "required", "items"})


def schema_differences(old: str, new: str) -> list[str]:
    """Names the differences between two schema texts of one method.

    Args:
        old: The JSON text of `{"request": …, "response": …}`.
        new: The same of the other version.

    Returns:
        A line for each field that was added, removed or has changed; empty if nothing that matters differs.

    Examples:
        >>> old = '{"request": {"properties": {"a": {"type": "integer"}}, "required": ["a"]}, "response": {}}'
        >>> new = '{"request": {"properties": {"b": {"type": "integer"}}, "required": ["b"]}, "response": {}}'
        >>> schema_differences(old, new)
        ['request.a: removed (was integer, required)', 'request.b: added (integer, required)']
    """
    one, other = _read(old), _read(new)
    lines: list[str] = []
    for part in ("request", "response"):
        first, second = one.get(part, {}), other.get(part, {})
        _Walk(first, second, lines).node(part, first, second, 0)
    if len(lines) > _MOST:
        return [*lines[:_MOST], f"and {len(lines) - _MOST} more"]
    return lines


def _read(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


class _Walk:
    def __init__(self, first: dict[str, Any], second: dict[str, Any], lines: list[str]) -> None:
        self.definitions = first.get("$defs", {}), second.get("$defs", {})
        self.lines = lines

    def node(self, path: str, one: Any, other: Any, depth: int) -> None:
        first, second = self.resolved(one, 0), self.resolved(other, 1)
        if first == second and self.definitions[0] == self.definitions[1]:
            return
        fields, others = first.get("properties"), second.get("properties")
        if depth < _MAX_DEPTH and isinstance(fields, dict) and isinstance(others, dict):
            self.properties(path, first, second, depth)
        elif depth < _MAX_DEPTH and isinstance(first.get("items"), dict) and isinstance(second.get("items"), dict):
            self.node(f"{path}[]", first["items"], second["items"], depth + 1)
        elif (before := self.kind(first, 0)) != (after := self.kind(second, 1)):
            self.lines.append(f"{path}: {before} → {after}")
        else:
            for key in sorted((first.keys() | second.keys()) - _PROSE):
                if first.get(key) != second.get(key) and key not in {"type", "anyOf", "$ref"}:
                    self.lines.append(f"{path}: {key} {_said(first, key)} → {_said(second, key)}")
        if "default" in first and "default" in second and first["default"] != second["default"]:
            self.lines.append(f"{path}: default {_said(first, 'default')} → {_said(second, 'default')}")

    def properties(self, path: str, first: dict[str, Any], second: dict[str, Any], depth: int) -> None:
        fields: dict[str, Any] = first["properties"]
        others: dict[str, Any] = second["properties"]
        required, required_now = first.get("required", []), second.get("required", [])
        for name, field in fields.items():
            if name not in others:
                state = "required" if name in required else "optional"
                self.lines.append(f"{path}.{name}: removed (was {self.kind(field, 0)}, {state})")
        for name, field in others.items():
            state = "required" if name in required_now else "optional"
            if name not in fields:
                self.lines.append(f"{path}.{name}: added ({self.kind(field, 1)}, {state})")
                continue
            self.node(f"{path}.{name}", fields[name], field, depth + 1)
            if (name in required) != (name in required_now):
                self.lines.append(f"{path}.{name}: now {state}")
        kept = [name for name in fields if name in others]
        if kept != [name for name in others if name in fields]:
            self.lines.append(f"{path}: the order of the fields is now {', '.join(others)}")

    def resolved(self, node: Any, side: int) -> dict[str, Any]:
        for _ in range(_MAX_DEPTH):
            if not isinstance(node, dict):
                return {}
            reference = cast("dict[str, Any]", node).get("$ref")
            if not isinstance(reference, str):
                break
            node = self.definitions[side].get(reference.rsplit("/", 1)[-1], {})
        return cast("dict[str, Any]", node) if isinstance(node, dict) else {}

    def kind(self, node: Any, side: int) -> str:
        """A type in a few words."""
        schema = self.resolved(node, side)
        choices = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(choices, list):
            return " or ".join(self.kind(choice, side) for choice in cast("list[Any]", choices))
        if "const" in schema or "enum" in schema:
            values: list[Any] = schema["enum"] if "enum" in schema else [schema["const"]]
            return " or ".join(json.dumps(value, default=str) for value in values)
        kind = schema.get("type")
        if kind == "array" and isinstance(schema.get("items"), dict):
            return f"array of {self.kind(schema['items'], side)}"
        if kind == "object" and isinstance(schema.get("title"), str):
            return schema["title"]
        if isinstance(kind, str):
            return f"{kind} ({schema['format']})" if isinstance(schema.get("format"), str) else kind
        return "anything"


def _said(schema: dict[str, Any], key: str) -> str:
    return json.dumps(schema[key], default=str) if key in schema else "none"

"""A tool's JSON schema in the dialect that Gemini takes, and a tool's result in the shape that it demands. Pure.

Gemini refuses a whole session for one field that it does not know. What it has no word for is left out, which makes the
schema wider; a value of any type becomes a text. It knows no session and no messages.

https://ai.google.dev/api/caching#Schema
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

DEPTH_MAX = 6
"""Of schemas within schemas. Deeper ones become objects of any shape, as does one that holds itself."""
_KEPT: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("description", "title", "pattern"), (str,)),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), (int,)),
    **dict.fromkeys(("minimum", "maximum"), (int, float)),
}
"""What is taken as it is, if it is of its type."""
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})
_FORMATS: Mapping[str, frozenset[str]] = {
    "string": frozenset({"date-time"}),
    "number": frozenset({"float", "double"}),
    "integer": frozenset({"int32", "int64"}),
}
_ANYTHING: Mapping[str, Any] = {"type": "OBJECT"}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a schema stands: in which whole, how many levels may follow, and within which definitions."""

    root: Mapping[str, Any]
    depth: int = DEPTH_MAX
    within: frozenset[str] = frozenset()

    def inside(self, references: frozenset[str]) -> _Place:
        return _Place(self.root, self.depth, self.within | references)

    def below(self) -> _Place:
        return _Place(self.root, self.depth - 1, self.within)


def parameters(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The parameters of a tool; None for a tool that takes none, because an object without properties is refused."""
    adapted = _adapt({"type": "object", **schema}, _Place(schema))
    if adapted.get("type") != "OBJECT" or not adapted.get("properties"):
        return None
    return adapted


def response(output: str) -> dict[str, Any]:
    """A tool's result, which has to be an object."""
    try:
        given = msgspec.json.decode(output)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        given = output
    return given if isinstance(given, dict) else {"output": given}


def _adapt(schema: object, at: _Place) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or at.depth == 0:
        return dict(_ANYTHING)
    references = _references(schema)
    if references & at.within:
        return dict(_ANYTHING)
    at = at.inside(references)
    schema = _merged(_resolved(schema, at.root), at.root)
    types = _types(schema)
    nullable = "null" in types or None in _values(schema)
    types = [name for name in types if name in _TYPES]
    kept: dict[str, Any] = {name: schema[name] for name, kinds in _KEPT.items() if isinstance(schema.get(name), kinds)}
    if nullable:
        kept["nullable"] = True
    either = _either(schema, at)
    if either is not None:
        options, with_null = either
        return kept | ({"nullable": True} if with_null else {}) | _choice(options)
    if len(types) > 1:
        options = [_adapt({**schema, "type": name}, at.below()) for name in types]
        described = {name: kept[name] for name in ("description", "title", "nullable") if name in kept}
        return described | _choice([{k: v for k, v in each.items() if k not in described} for each in options])
    return kept | _typed(types[0] if types else "string", schema, at)


def _typed(kind: str, schema: Mapping[str, Any], at: _Place) -> dict[str, Any]:
    """What belongs to one type."""
    found: dict[str, Any] = {"type": kind.upper()}
    if schema.get("format") in _FORMATS.get(kind, ()):
        found["format"] = schema["format"]
    if kind == "string":
        listed = _values(schema)
        words = [word for word in listed if isinstance(word, str) and word]
        if words and len(words) == sum(word is not None for word in listed):
            found["enum"] = words
    elif kind == "array":
        items = schema.get("items")
        found["items"] = _adapt(items, at.below()) if isinstance(items, Mapping) and items else {"type": "STRING"}
    elif kind == "object":
        properties = schema.get("properties")
        given = properties if isinstance(properties, Mapping) else {}
        if given:
            found["properties"] = {str(name): _adapt(each, at.below()) for name, each in given.items()}
            asked = schema.get("required")
            named = asked if isinstance(asked, list | tuple) else ()
            if required := [name for name in named if isinstance(name, str) and name in given]:
                found["required"] = required
    return found


def _types(schema: Mapping[str, Any]) -> list[str]:
    """The types named, or the one that the schema's other words speak of."""
    named = schema.get("type")
    if isinstance(named, str):
        return [named]
    if isinstance(named, list | tuple):
        return [name for name in named if isinstance(name, str)]
    listed = _values(schema)
    if "items" in schema:
        return ["array"]
    if "properties" in schema:
        return ["object"]
    return ["string"] if listed and all(isinstance(each, str) for each in listed) else []


def _values(schema: Mapping[str, Any]) -> list[Any]:
    """All values that are allowed, if they are listed."""
    if "const" in schema:
        return [schema["const"]]
    listed = schema.get("enum")
    return list(listed) if isinstance(listed, list | tuple) else []


def _either(schema: Mapping[str, Any], at: _Place) -> tuple[list[dict[str, Any]], bool] | None:
    """The alternatives, and whether nothing at all is one of them. One-of is said as any-of.

    Beside properties or items they only narrow what is allowed, and are left out.
    """
    if "properties" in schema or "items" in schema:
        return None
    listed = schema.get("anyOf") or schema.get("oneOf")
    if not isinstance(listed, list | tuple):
        return None
    real = [each for each in listed if isinstance(each, Mapping)]
    valued = [each for each in real if each.get("type") != "null"]
    if not valued:
        return None
    return [_adapt(each, at.below()) for each in valued], len(valued) < len(real)


def _choice(options: list[dict[str, Any]]) -> dict[str, Any]:
    return options[0] if len(options) == 1 else {"anyOf": options}


def _references(schema: Mapping[str, Any]) -> frozenset[str]:
    """The definitions that it is made of."""
    parts = schema.get("allOf")
    listed = (schema, *(part for part in parts if isinstance(part, Mapping))) if isinstance(parts, list) else (schema,)
    return frozenset(path for each in listed if isinstance(path := each.get("$ref"), str))


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the definition that it refers to, within this schema alone. A reference in a circle leads nowhere."""
    for _ in range(DEPTH_MAX):
        path = schema.get("$ref")
        if not isinstance(path, str):
            return schema
        found: Any = root
        for name in path.removeprefix("#/").split("/"):
            found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        schema = {**found, **rest} if path.startswith("#/") and isinstance(found, Mapping) else rest
    return {}


def _merged(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """All-of has no word: its parts are laid over each other."""
    parts = schema.get("allOf")
    if not isinstance(parts, list | tuple):
        return schema
    merged: dict[str, Any] = {}
    for part in (*parts, {name: value for name, value in schema.items() if name != "allOf"}):
        if not isinstance(part, Mapping):
            continue
        for name, value in _resolved(part, root).items():
            before = merged.get(name)
            if name == "properties" and isinstance(before, Mapping) and isinstance(value, Mapping):
                merged[name] = {**before, **value}
            elif name == "required" and isinstance(before, list) and isinstance(value, list):
                merged[name] = [*before, *(each for each in value if each not in before)]
            else:
                merged[name] = value
    return merged

"""The schemas of what `-o json` prints, made from the values it is printed from; run as a program it writes them.

Each lies in docs/<command>.schema.json. A test fails when one is stale, and every command's output is held to its own.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.cli import calls, doctor, jsonable, latency, order, overview

ANSWERS: dict[str, tuple[Any, str]] = {
    "status": (overview.Overview, "What `kubectl holdfast status -o json` prints"),
    "calls": (calls.Calls, "What `kubectl holdfast calls -o json` prints"),
    "latency": (latency.Latency, "What `kubectl holdfast latency -o json` prints"),
    "doctor": (doctor.Diagnosis, "What `kubectl holdfast doctor -o json` prints"),
    "order": (order.Ordered, "What `kubectl holdfast cordon`, `drain` and `uncordon` print with -o json"),
}
ENUMS = {
    "Overview.state": ["healthy", "degraded", "down", "unknown"],
    "Judged.outcome": ["ok", "warning", "failed", "skipped"],
    "Ordered.verb": ["cordon", "drain", "uncordon"],
    "Ordered.outcome": ["written", "unchanged", "dry-run", "done", "refused", "timed-out", "incomplete"],
    "sign": ["ok", "bad", "warning", "unknown", "info"],
}
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def folder() -> Path:
    return Path("docs")


def path(command: str) -> Path:
    return folder() / f"{command}.schema.json"


def schema(command: str) -> dict[str, Any]:
    made, title = ANSWERS[command]
    named: dict[str, Any] = {}
    root = _object(made, named)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **root,
        **({"$defs": dict(sorted(named.items()))} if named else {}),
    }  # fmt: skip


def _object(made: Any, named: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(made)
    properties = {}
    for each in dataclasses.fields(made):
        key = jsonable.camel(each.name)
        properties[key] = _type(hints[each.name], named)
        if each.name == "schema":
            properties[key] = {"const": each.default}
        for name in (f"{made.__name__}.{each.name}", each.name):
            if name in ENUMS:
                properties[key] = {"enum": ENUMS[name]}
    return {
        "description": " ".join((made.__doc__ or "").split()), "type": "object", "additionalProperties": False,
        "required": sorted(properties), "properties": properties,
    }  # fmt: skip


def _type(hint: Any, named: dict[str, Any]) -> dict[str, Any]:
    if dataclasses.is_dataclass(hint):
        name = getattr(hint, "__name__", "")
        if name not in named:
            named[name] = {}
            named[name] = _object(hint, named)
        return {"$ref": f"#/$defs/{name}"}
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return {"type": [PLAIN[each] for each in arguments]}
    if origin is tuple:
        return {"type": "array", "items": _type(arguments[0], named)}
    if origin is Mapping or getattr(origin, "__name__", "") == "Mapping":
        return {"type": "object", "additionalProperties": _type(arguments[1], named)}
    return {"type": PLAIN[hint]}


def text(command: str) -> str:
    return json.dumps(schema(command), indent=2) + "\n"


if __name__ == "__main__":
    for command in ANSWERS:
        path(command).write_text(text(command))

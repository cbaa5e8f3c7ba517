"""One shape for all that `-o json` prints: the very value that the text is made from, its names in camelCase."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def plain(value: Any) -> Any:
    """Dataclasses become objects, tuples lists; an age without end is none."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {camel(each.name): plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else None
    return value


def text(value: Any, *, indent: int | None = 2) -> str:
    """As it is printed; without an indent it is one line."""
    return json.dumps(plain(value), indent=indent, ensure_ascii=False) + "\n"

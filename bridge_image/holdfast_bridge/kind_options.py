"""A kind's own configuration, from what an attempt or a stage says of it: the common fields, and its `options`.

`options` are the fields of a kind's configuration that have no place of their own in an attempt or a stage, in
camelCase. One that the kind does not have, or that does not fit it, is a SettingsError that names it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from holdfast_bridge.errors import SettingsError

Config = TypeVar("Config")


def configured(kind: type[Config], options: Mapping[str, Any], *, of: str, **given: Any) -> Config:
    """`of`: the kind's name, for errors. What is given empty is the kind's own default; options go before it."""
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    asked = {_snake(name): value for name, value in options.items()}
    ours = {name for name, value in given.items() if name in fields and (value not in _EMPTY or _needed(fields[name]))}
    unknown = sorted(set(asked) - set(fields))
    if unknown:
        own = ", ".join(sorted(_camel(name) for name in set(fields) - ours)) or "none"
        raise SettingsError(f"{of}: options has no {_camel(unknown[0])!r}; it has {own}")
    said = {name: given[name] for name in ours}
    try:
        return msgspec.convert({**said, **asked}, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{of}: options: {error}") from error


_EMPTY: tuple[Any, ...] = ("", (), ("",), None)


def _needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.capitalize() for each in others)

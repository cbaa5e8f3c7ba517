"""Whether what a model gives a tool fits the tool's JSON schema, found out within a bounded effort.

Draft 2020-12, or the draft that `$schema` names. The model's words come from callers, so nothing here may stall the
calls beside: patterns are RE2's, which match in linear time; every keyword that is looked at and every match cost
steps, and a check that would cost more than STEPS_MAX ends without an answer. No reference leaves the schema, and none
is ever fetched. Knows no webhook and no model. The operator refuses the same schemas in code of its own; the contract
test tests/contract/test_tool_schemas.py holds the two together.

`format` is a remark, as the draft has it. `unevaluatedItems`, `unevaluatedProperties` and references that are resolved
while checking (`$dynamicRef`, `$recursiveRef`) are refused: their cost cannot be counted here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec
import re2
from jsonschema import Draft7Validator, Draft201909Validator, Draft202012Validator, FormatChecker, validators
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import NoSuchAnchor, PointerToNowhere, Unresolvable
from referencing.jsonschema import specification_with

SCHEMA_BYTES_MAX = 16_384
SCHEMA_DEPTH_MAX = 24
PROGRAM_MAX = 100_000
"""Instructions of all patterns of a schema; one that counts letters of every script has tens of thousands."""
ARGUMENTS_BYTES_MAX = 16_384
STEPS_MAX = 10_000
"""About 25 ms; an ordinary check takes fewer than a hundred."""
WORK_OF_A_STEP = 1_000
"""Characters times instructions of a pattern's program: what RE2 may have to do at worst, and seldom does."""
PROBLEMS_TOLD = 3
PROBLEM_CHARS_MAX = 200

DIALECTS = {
    "https://json-schema.org/draft/2020-12/schema": Draft202012Validator,
    "https://json-schema.org/draft/2019-09/schema": Draft201909Validator,
    "http://json-schema.org/draft-07/schema": Draft7Validator,
}
_NEWEST = "https://json-schema.org/draft/2020-12/schema"
_UNCOUNTABLE = ("$dynamicRef", "$recursiveRef", "unevaluatedItems", "unevaluatedProperties")
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"})
"""Keywords whose members are named by the author, so that no name in them is a keyword."""
_VALUES = frozenset({"enum", "const", "default", "examples"})
_ANY = FormatChecker(formats=())
"""Else Python's own idea of a pattern is asked, too."""
_QUIET = re2.Options()
_QUIET.log_errors = False
_QUIET.max_mem = 1 << 22


class WrongSchema(ValueError):
    """The schema cannot be used. The text says where and why."""


class _TooIntricate(Exception):
    """More steps than a check may take."""


class ToolSchema:
    """One tool's schema, ready to check with. Raises WrongSchema."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._left = 0
        self._patterns: dict[str, Any] = {}
        _bounded(schema)
        dialect = _dialect(schema)
        self._examine(schema, dialect)
        self._checks = self._counted(DIALECTS[dialect])(schema, registry=Registry())

    def problem(self, arguments: Mapping[str, Any]) -> str:
        """What does not fit, by field, in words for the model. Empty: all of it fits."""
        self._left = STEPS_MAX
        try:
            found = list(islice(self._checks.iter_errors(arguments), PROBLEMS_TOLD))
        except (_TooIntricate, RecursionError, ArithmeticError):
            return "they are too intricate to be checked; give fewer or simpler ones"
        return "; ".join(_told(error) for error in found)

    # --- proving the schema

    def _examine(self, schema: Mapping[str, Any], dialect: str) -> None:
        try:
            DIALECTS[dialect].check_schema(schema, format_checker=_ANY)
        except SchemaError as error:
            raise WrongSchema(f"{error.json_path}: {error.message[:PROBLEM_CHARS_MAX]}") from error
        resolver = Registry().resolver_with_root(specification_with(dialect).create_resource(schema))
        nodes = list(_subschemas(schema))
        known = {id(node) for node in nodes}
        for node in nodes:
            for keyword in _UNCOUNTABLE:
                if keyword in node:
                    raise WrongSchema(f"{keyword} is not supported")
            if "$id" in node and node is not schema:
                raise WrongSchema("$id may stand at the top only")
            if isinstance(reference := node.get("$ref"), str):
                _resolve(resolver, reference, known)
            if isinstance(pattern := node.get("pattern"), str):
                self._compile(pattern)
            if isinstance(named := node.get("patternProperties"), dict):
                for each in named:
                    self._compile(each)

    def _compile(self, pattern: str) -> None:
        try:
            self._patterns[pattern] = re2.compile(pattern, _QUIET)
        except re2.error as error:
            why = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else "it is not one"
            raise WrongSchema(f"pattern {pattern[:80]!r} is not a regular expression of RE2: {why}") from error
        if sum(each.programsize for each in self._patterns.values()) > PROGRAM_MAX:
            raise WrongSchema("its patterns are too large together: use maxLength instead of counted repeats")

    # --- counting

    def _counted(self, dialect: type[Validator]) -> type[Validator]:
        ours = {
            "pattern": self._pattern,
            "patternProperties": self._pattern_properties,
            "additionalProperties": self._additional_properties,
            "uniqueItems": _unique_items,
        }
        known = {**dialect.VALIDATORS, **ours}
        spending = {name: self._spending(keyword) for name, keyword in known.items()}
        extended: type[Validator] = validators.extend(dialect, spending)  # type: ignore[no-untyped-call]
        return extended

    def _spending(self, keyword: Callable[..., Any]) -> Callable[..., Any]:
        def check(validator: Validator, value: Any, instance: Any, schema: Mapping[str, Any]) -> Any:
            self._spend(1 + _size(value) + _size(instance))
            return keyword(validator, value, instance, schema)

        return check

    # --- keywords that the library would match with backtracking, or in quadratic time

    def _matches(self, pattern: str, text: str) -> bool:
        compiled = self._patterns[pattern]
        self._spend(len(text) * compiled.programsize // WORK_OF_A_STEP)
        return compiled.search(text) is not None

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise _TooIntricate

    def _pattern(
        self, _validator: Validator, pattern: str, instance: Any, _schema: object
    ) -> Iterator[ValidationError]:
        if isinstance(instance, str) and not self._matches(pattern, instance):
            yield ValidationError(f"{instance!r} does not match {pattern!r}")

    def _pattern_properties(
        self, validator: Any, named: Mapping[str, Any], instance: Any, _schema: object
    ) -> Iterator[ValidationError]:
        for pattern, subschema in named.items() if isinstance(instance, dict) else ():
            for name, value in instance.items():
                if self._matches(pattern, name):
                    yield from validator.descend(value, subschema, path=name, schema_path=pattern)

    def _additional_properties(
        self, validator: Any, wish: Any, instance: Any, schema: Mapping[str, Any]
    ) -> Iterator[ValidationError]:
        if not isinstance(instance, dict):
            return
        patterns, properties = schema.get("patternProperties", {}), schema.get("properties", {})
        for name, value in instance.items():
            if name in properties or any(self._matches(pattern, name) for pattern in patterns):
                continue
            if isinstance(wish, dict):
                yield from validator.descend(value, wish, path=name)
            elif not wish:
                yield ValidationError(f"there is no {name!r}; known are {', '.join(sorted(properties)) or 'none'}")


def _unique_items(_validator: Validator, wished: Any, instance: Any, _schema: object) -> Iterator[ValidationError]:
    """By their canonical texts: 1 and 1.0 count as two."""
    if wished and isinstance(instance, list):
        seen = {msgspec.json.encode(each, order="deterministic") for each in instance}
        if len(seen) < len(instance):
            yield ValidationError("an item stands in it twice")


def _size(value: Any) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def _told(error: ValidationError) -> str:
    field = error.json_path.removeprefix("$").removeprefix(".")
    return f"{field}: {error.message[:PROBLEM_CHARS_MAX]}" if field else error.message[:PROBLEM_CHARS_MAX]


def _dialect(schema: Mapping[str, Any]) -> str:
    named = schema.get("$schema", _NEWEST)
    dialect = named.removesuffix("#") if isinstance(named, str) else ""
    if dialect not in DIALECTS:
        raise WrongSchema(f"$schema: known are {', '.join(DIALECTS)}")
    return dialect


def _bounded(schema: Mapping[str, Any]) -> None:
    try:
        size = len(msgspec.json.encode(schema))
    except (TypeError, RecursionError) as error:
        raise WrongSchema("it is not JSON, or nested too deeply") from error
    if size > SCHEMA_BYTES_MAX:
        raise WrongSchema(f"{size} bytes, at most {SCHEMA_BYTES_MAX} are allowed")
    level: list[Any] = [schema]
    for _ in range(SCHEMA_DEPTH_MAX):
        level = [child for node in level for child in _children(node)]
    if level:
        raise WrongSchema(f"it is nested deeper than {SCHEMA_DEPTH_MAX}")


def _children(node: Any) -> list[Any]:
    found = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [each for each in found if isinstance(each, dict | list)]


def _subschemas(node: Any) -> Iterator[Mapping[str, Any]]:
    """Every object of it that is read as a schema."""
    if isinstance(node, list):
        for each in node:
            yield from _subschemas(each)
    elif isinstance(node, dict):
        yield node
        for keyword, value in node.items():
            if keyword in _NAMED and isinstance(value, dict):
                for each in value.values():
                    yield from _subschemas(each)
            elif keyword not in _VALUES:
                yield from _subschemas(value)


def _resolve(resolver: Any, reference: str, known: set[int]) -> None:
    """`known`: the identities of all subschemas; elsewhere nobody has looked for what may not stand in one."""
    if not reference.startswith("#"):
        raise WrongSchema(f"$ref {reference[:80]!r} leads out of the schema; only #/… is followed")
    try:
        found = resolver.lookup(reference).contents
    except (Unresolvable, PointerToNowhere, NoSuchAnchor) as error:
        raise WrongSchema(f"$ref {reference[:80]!r} leads nowhere") from error
    if not isinstance(found, bool) and id(found) not in known:
        raise WrongSchema(f"$ref {reference[:80]!r} leads to what is no schema")

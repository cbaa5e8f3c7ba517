"""Whether a tool's parameters are a JSON schema that bridges can check arguments with: `wrong(schema)`.

What is wrong is told where the agent is accepted, so that no pod has to. Draft 2020-12, or what `$schema` names.
Bridges check within a bounded effort, so some of what the drafts allow is refused: patterns that RE2 cannot match,
references out of the schema, and keywords whose cost cannot be counted. The bridge has the same in its own words;
tests/contract/test_tool_schemas.py holds the two together. How arguments are checked is not known here.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import re2
from jsonschema import Draft7Validator, Draft201909Validator, Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import NoSuchAnchor, PointerToNowhere, Unresolvable
from referencing.jsonschema import specification_with

DEPTH_MAX = 24
CHARS_TOLD = 200
PROGRAM_MAX = 100_000  # instructions of all patterns of a schema
DRAFTS = {
    "https://json-schema.org/draft/2020-12/schema": Draft202012Validator,
    "https://json-schema.org/draft/2019-09/schema": Draft201909Validator,
    "http://json-schema.org/draft-07/schema": Draft7Validator,
}
NEWEST = "https://json-schema.org/draft/2020-12/schema"

_UNCOUNTABLE = ("$dynamicRef", "$recursiveRef", "unevaluatedItems", "unevaluatedProperties")
# In these, names are the author's and no keywords.
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"})
_VALUES = frozenset({"enum", "const", "default", "examples"})
_ANY = FormatChecker(formats=())  # Else Python's own idea of a pattern is asked, too.
_QUIET = re2.Options()
_QUIET.log_errors = False
_QUIET.max_mem = 1 << 22


def wrong(schema: Mapping[str, Any]) -> str:
    """What about it, or empty when it can be used."""
    try:
        return _wrong(json.dumps(schema))
    except (TypeError, RecursionError):
        return "it is not JSON, or nested too deeply"


@functools.lru_cache(maxsize=4096)
def _wrong(text: str) -> str:
    """Agents are looked at whenever a policy or a region changes, their schemas only once."""
    schema = json.loads(text)
    if _deeper(schema, DEPTH_MAX):
        return f"it is nested deeper than {DEPTH_MAX}"
    named = schema.get("$schema", NEWEST)
    draft = named.removesuffix("#") if isinstance(named, str) else ""
    if draft not in DRAFTS:
        return f"$schema: known are {', '.join(DRAFTS)}"
    try:
        DRAFTS[draft].check_schema(schema, format_checker=_ANY)
    except SchemaError as error:
        return f"{error.json_path}: {error.message[:CHARS_TOLD]}"
    try:
        return next(_unusable(schema, draft), "")
    finally:
        re2.purge()  # Nothing is matched here, and a hostile pattern is large.


def _unusable(schema: dict[str, Any], draft: str) -> Iterator[str]:
    nodes = list(_subschemas(schema))
    known = {id(node) for node in nodes}
    programs: dict[str, int] = {}
    resolver = Registry().resolver_with_root(specification_with(draft).create_resource(schema))
    for node in nodes:
        yield from (f"{keyword} is not supported" for keyword in _UNCOUNTABLE if keyword in node)
        if "$id" in node and node is not schema:
            yield "$id may stand at the top only"
        if isinstance(reference := node.get("$ref"), str):
            yield from _lost(resolver, reference, known)
        named = node.get("patternProperties")
        for pattern in (node.get("pattern"), *(named if isinstance(named, dict) else ())):
            if isinstance(pattern, str):
                yield from _unmatchable(pattern, programs)


def _lost(resolver: Any, reference: str, known: set[int]) -> Iterator[str]:
    if not reference.startswith("#"):
        yield f"$ref {reference[:80]!r} leads out of the schema; only #/… is followed"
    else:
        try:
            found = resolver.lookup(reference).contents
        except (Unresolvable, PointerToNowhere, NoSuchAnchor):
            yield f"$ref {reference[:80]!r} leads nowhere"
        else:
            if not isinstance(found, bool) and id(found) not in known:
                yield f"$ref {reference[:80]!r} leads to what is no schema"


def _unmatchable(pattern: str, programs: dict[str, int]) -> Iterator[str]:
    """`programs`: the sizes of those that were seen; this one's is put there."""
    try:
        programs[pattern] = re2.compile(pattern, _QUIET).programsize
    except re2.error as error:
        why = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else "it is not one"
        yield f"pattern {pattern[:80]!r} is not a regular expression of RE2: {why}"
    if sum(programs.values()) > PROGRAM_MAX:
        yield "its patterns are too large together: use maxLength instead of counted repeats"


def _subschemas(node: Any) -> Iterator[dict[str, Any]]:
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


def _deeper(node: Any, levels: int) -> bool:
    found = node.values() if isinstance(node, dict) else node if isinstance(node, list) else None
    if found is None:
        return False
    return levels == 0 or any(_deeper(each, levels - 1) for each in found)

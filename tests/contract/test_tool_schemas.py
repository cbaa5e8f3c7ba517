"""The operator refuses the schemas that a bridge could not check with, and no others: the two share no code."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core import tool_schemas
from holdfast_bridge.core import tool_schema
from holdfast_bridge.core.tool_schema import ToolSchema, WrongSchema

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
SCHEMAS: tuple[dict[str, Any], ...] = (
    {},
    {"type": "object", "properties": {"day": {"type": "string", "pattern": "^[a-z]{3}$"}}, "required": ["day"]},
    {"type": "strin"},
    {"properties": [1]},
    {"minimum": "x"},
    {"pattern": "(?=a)b"},
    {"pattern": "(a)\\1"},
    {"pattern": 1},
    {"pattern": "^\\p{L}+$"},
    {"pattern": "^\\pL{1,60}$"},
    {"pattern": "^\\pL{1,90}$"},
    {"pattern": "^\\pL{1,60}$", "not": {"pattern": "^\\pL{1,59}$"}},
    {"patternProperties": {"(": {}}},
    {"patternProperties": {"^x-": {"type": "string"}}},
    {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}},
    {"$ref": "#a", "$defs": {"a": {"$anchor": "a"}}},
    {"$ref": "#/$defs/b", "$defs": {"a": {}}},
    {"$ref": "#b", "$defs": {"a": {"$anchor": "a"}}},
    {"$ref": "#"},
    {"$ref": "#/default", "default": {"pattern": "("}},
    {"$ref": "https://example.com/a"},
    {"properties": {"a": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}},
    {"$id": "https://example.com/book", "properties": {"a": {"$ref": "#/properties/b"}, "b": True}},
    {"properties": {"a": {"$id": "https://example.com/a"}}},
    {"$schema": "https://example.com/own"},
    {"$schema": 7},
    {"$schema": DRAFT_7, "definitions": {"a": {"type": "string"}}, "properties": {"a": {"$ref": "#/definitions/a"}}},
    {"$schema": DRAFT_7, "dependencies": {"a": ["b"]}},
    {"$dynamicRef": "#a"},
    {"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveRef": "#"},
    {"allOf": [{"unevaluatedItems": False}]},
    {"properties": {"$dynamicRef": {}, "unevaluatedProperties": {}}},
    {"enum": [{"$ref": "nowhere", "pattern": "("}]},
)


def bridge(schema: dict[str, Any]) -> str:
    try:
        ToolSchema(schema)
    except WrongSchema as wrong:
        return str(wrong)
    return ""


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_both_say_the_same_of_a_schema(schema: dict[str, Any]) -> None:
    assert tool_schemas.wrong(schema) == bridge(schema)


def test_they_know_the_same_drafts_and_the_same_depth() -> None:
    assert tool_schemas.DRAFTS == tool_schema.DIALECTS
    for depth in (23, 24, 25, 26):
        nested: dict[str, Any] = {}
        for _ in range(depth - 1):
            nested = {"not": nested}
        assert tool_schemas.wrong(nested) == bridge(nested), depth


WORDS = st.sampled_from([
    "type", "properties", "items", "$ref", "$defs", "a", "pattern", "patternProperties", "enum", "anyOf", "not", "$id",
    "$anchor", "required", "additionalProperties", "dependencies", "default", "unevaluatedItems", "$schema",
])  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["#", "#/$defs/a", "string", "^a", "(", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(WORDS, JSON, max_size=5))
def test_no_object_breaks_either_of_them_and_they_agree(schema: dict[str, Any]) -> None:
    assert tool_schemas.wrong(schema) == bridge(schema)


@settings(deadline=None)
@given(st.dictionaries(WORDS, JSON, max_size=5), st.dictionaries(st.sampled_from(["a", "b", "type"]), JSON, max_size=3))
def test_what_was_accepted_can_be_checked_with(schema: dict[str, Any], arguments: dict[str, Any]) -> None:
    if not tool_schemas.wrong(schema):
        assert isinstance(ToolSchema(schema).problem(arguments), str)

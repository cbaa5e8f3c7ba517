"""What a model gives a tool is checked by the tool's schema, within an effort that no caller can raise."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast_bridge.core.tool_schema import SCHEMA_DEPTH_MAX, ToolSchema, WrongSchema

BOOK = {
    "type": "object",
    "properties": {
        "day": {"type": "string", "pattern": "^(mon|tue)$"},
        "guests": {"$ref": "#/$defs/few"},
        "names": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    },
    "required": ["day"],
    "additionalProperties": False,
    "$defs": {"few": {"type": "integer", "maximum": 8}},
}
INTRICATE = "they are too intricate to be checked; give fewer or simpler ones"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"day": "mon"}, ""),
        ({"day": "tue", "guests": 8, "names": ["Ada", "Zoë"]}, ""),
        ({}, "'day' is a required property"),
        ({"day": 1}, "day: 1 is not of type 'string'"),
        ({"day": "sun"}, "day: 'sun' does not match '^(mon|tue)$'"),
        ({"day": "mon", "guests": 9}, "guests: 9 is greater than the maximum of 8"),
        ({"day": "mon", "names": ["Ada", 1]}, "names[1]: 1 is not of type 'string'"),
        ({"day": "mon", "names": ["Ada", "Ada"]}, "names: an item stands in it twice"),
        ({"day": "mon", "when": 1}, "there is no 'when'; known are day, guests, names"),
    ],
)
def test_a_mismatch_names_the_field_and_what_is_wrong(given: dict[str, Any], problem: str) -> None:
    assert ToolSchema(BOOK).problem(given) == problem


def test_several_mismatches_are_told_together_and_the_rest_is_left_out() -> None:
    told = ToolSchema({"additionalProperties": {"type": "string"}}).problem(dict.fromkeys("abcde", 1))
    assert told == "a: 1 is not of type 'string'; b: 1 is not of type 'string'; c: 1 is not of type 'string'"


def test_a_tool_without_a_schema_takes_any_object() -> None:
    assert ToolSchema({}).problem({"a": [{}]}) == ""


def test_names_that_fit_no_pattern_are_additional() -> None:
    schema = ToolSchema({"patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": {"type": "integer"}})
    assert schema.problem({"x-a": "b", "n": 1}) == ""
    assert schema.problem({"x-a": 1, "n": "b"}) == "['x-a']: 1 is not of type 'string'; n: 'b' is not of type 'integer'"


@pytest.mark.parametrize(
    "dialect", ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2019-09/schema"]
)
def test_a_schema_may_name_an_older_draft(dialect: str) -> None:
    schema = ToolSchema({"$schema": dialect, "definitions": {"n": {"type": "integer"}}, "properties": {
        "a": {"items": [{"type": "string"}]}, "n": {"$ref": "#/definitions/n"},
    }})  # fmt: skip
    assert schema.problem({"a": [1], "n": 1}) == "a[0]: 1 is not of type 'string'"
    assert schema.problem({"a": ["x"], "n": "x"}) == "n: 'x' is not of type 'integer'"


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "strin"}, "$.type: 'strin' is not valid"),
        ({"properties": [1]}, "$.properties: [1] is not of type 'object'"),
        ({"properties": {"a": {"minimum": "x"}}}, "$.properties.a.minimum: 'x' is not of type 'number'"),
        ({"pattern": "(?=a)b"}, "is not a regular expression of RE2: invalid perl operator: (?="),
        ({"pattern": "(a)\\1"}, "is not a regular expression of RE2: invalid escape sequence"),
        ({"patternProperties": {"(": {}}}, "is not a regular expression of RE2: missing )"),
        ({"pattern": "^(\\pL{1,100})+$"}, "patterns are too large together"),
        ({"allOf": [{"pattern": f"^.{{1,{900 + n}}}$"} for n in range(20)]}, "patterns are too large together"),
        ({"$ref": "https://example.com/schema"}, "leads out of the schema"),
        ({"properties": {"a": {"$ref": "other.json#/a"}}}, "leads out of the schema"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"$ref": "#none"}, "leads nowhere"),
        ({"$ref": "#/default", "default": {"pattern": "a"}}, "leads to what is no schema"),
        ({"$schema": "https://example.com/own"}, "$schema: known are"),
        ({"properties": {"a": {"$id": "https://example.com/a"}}}, "$id may stand at the top only"),
        ({"$dynamicRef": "#a"}, "$dynamicRef is not supported"),
        ({"allOf": [{"unevaluatedProperties": False}]}, "unevaluatedProperties is not supported"),
        ({"description": "x" * 16_384}, "bytes, at most 16384 are allowed"),
    ],
)
def test_a_schema_that_cannot_be_used_says_why(schema: dict[str, Any], why: str) -> None:
    with pytest.raises(WrongSchema) as told:
        ToolSchema(schema)
    assert why in str(told.value)


def test_a_name_that_looks_like_a_keyword_is_a_name() -> None:
    schema = ToolSchema({"properties": {"$dynamicRef": {"type": "string"}, "enum": {"pattern": "^a"}, "$ref": {}}})
    assert schema.problem({"$dynamicRef": 1}) == "['$dynamicRef']: 1 is not of type 'string'"
    assert schema.problem({"enum": "b"}) == "enum: 'b' does not match '^a'"


def test_a_schema_is_not_nested_too_deeply() -> None:
    def nested(depth: int) -> dict[str, Any]:
        return {} if depth == 1 else {"not": nested(depth - 1)}

    ToolSchema(nested(SCHEMA_DEPTH_MAX))
    with pytest.raises(WrongSchema, match="nested deeper"):
        ToolSchema(nested(SCHEMA_DEPTH_MAX + 1))
    with pytest.raises(WrongSchema, match="nested"):
        ToolSchema(nested(900))


def test_a_pattern_that_would_backtrack_for_ever_is_matched_all_the_same() -> None:
    schema = ToolSchema({"properties": {"day": {"type": "string", "pattern": r"^(\w+\s?)*$"}}})
    assert schema.problem({"day": "a" * 15_000 + "!"}).startswith("day: 'aaaa")
    assert schema.problem({"day": "a" * 15_000}) == ""


def test_a_pattern_of_a_long_program_is_matched_with_a_name_and_not_with_a_novel() -> None:
    schema = ToolSchema({"properties": {"name": {"pattern": r"^[\p{L} .-]{1,40}$"}}})
    assert schema.problem({"name": "Zoë Łukasiewicz-Øster"}) == ""
    assert schema.problem({"name": "x" * 41}).startswith("name: 'xxx")
    assert schema.problem({"name": "x" * 16_000}) == INTRICATE


def _doubling(then: dict[str, Any]) -> dict[str, Any]:
    """Thirty levels, each of which looks twice at the next: a thousand million looks."""
    levels = {f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(30)}
    return {"$ref": "#/$defs/d0", "$defs": {**levels, "d30": then}}


@pytest.mark.parametrize(
    ("schema", "given"),
    [
        (_doubling({"type": "object"}), {}),
        ({"$ref": "#"}, {}),
        ({"properties": {"a": {"contains": {"anyOf": [{"type": "string"}] * 300}}}}, {"a": [1] * 4_000}),
        ({"properties": {"a": {"pattern": "(a?){500}a{500}x"}}}, {"a": "a" * 16_000}),
        ({"properties": {"a": {"contains": {"enum": list(range(3_000))}}}}, {"a": [-1] * 4_000}),
    ],
)  # fmt: skip
def test_a_check_without_an_end_is_given_up_and_the_tool_is_not_said_to_fit(
    schema: dict[str, Any], given: dict[str, Any]
) -> None:
    assert ToolSchema(schema).problem(given) == INTRICATE


def test_a_check_that_was_given_up_does_not_spend_the_next_ones_steps() -> None:
    schema = ToolSchema({"properties": {"a": {"items": {"type": "integer"}}}})
    assert schema.problem({"a": [1] * 15_000}) == INTRICATE
    assert schema.problem({"a": [1] * 100}) == ""


def test_numbers_without_an_answer_are_no_crash() -> None:
    assert ToolSchema({"properties": {"a": {"multipleOf": 1e-300}}}).problem({"a": 1e300}) != ""

"""What is wrong with a tool's schema, told where the agent is accepted."""

from typing import Any

import pytest

from holdfast.core import tool_schemas

DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {"day": {"type": "string", "pattern": "^[a-z]{3}$"}}, "required": ["day"]},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}},
        {"$ref": "#/properties/b", "properties": {"b": True}},
        {"$schema": DRAFT_7, "dependencies": {"a": ["b"]}},
        {"anyOf": [{"type": "string"}, {"patternProperties": {"^x-": {}}}]},
        {"enum": [{"$ref": "nowhere", "pattern": "("}]},
        {"$id": "https://example.com/book", "type": "object"},
        nested(23),
    ],
    ids=str,
)
def test_a_schema_that_bridges_can_check_with_is_taken(schema):
    assert tool_schemas.wrong(schema) == ""


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "strin"}, "$.type: 'strin' is not valid under any of the given schemas"),
        ({"$schema": 7}, "$schema: known are https://json-schema.org/draft/2020-12/schema, "),
        ({"$schema": "https://example.com/own"}, "$schema: known are "),
        (nested(25), "it is nested deeper than 24"),
        ({"allOf": [{"unevaluatedItems": False}]}, "unevaluatedItems is not supported"),
        ({"properties": {"a": {"$id": "https://example.com/a"}}}, "$id may stand at the top only"),
        ({"$ref": "https://example.com/a"}, "$ref 'https://example.com/a' leads out of the schema; only"),
        ({"$ref": "#/$defs/b", "$defs": {"a": {}}}, "$ref '#/$defs/b' leads nowhere"),
        ({"$ref": "#/default", "default": {"pattern": "("}}, "$ref '#/default' leads to what is no schema"),
        ({"pattern": "(?=a)b"}, "pattern '(?=a)b' is not a regular expression of RE2: invalid perl operator: (?="),
        ({"patternProperties": {"(": {}}}, "pattern '(' is not a regular expression of RE2: missing ): ("),
        (
            {"allOf": [{"pattern": f"^\\pL{{1,{most}}}$"} for most in (58, 59, 60)]},
            "its patterns are too large together: use maxLength instead of counted repeats",
        ),
        ({"default": object()}, "it is not JSON, or nested too deeply"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_bridges_cannot_check_with_is_refused_by_name(schema, told):
    assert tool_schemas.wrong(schema).startswith(told)

"""JSON schemas in Gemini's dialect."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast_bridge.providers import gemini_schema


def of(schema: dict[str, object]) -> dict[str, object]:
    """How one property with this schema comes out."""
    found = gemini_schema.parameters({"type": "object", "properties": {"x": schema}})
    assert found is not None
    return found["properties"]["x"]


def test_what_gemini_has_no_word_for_is_left_out() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "x-internal": 1,
        "properties": {"day": {"type": "string", "description": "When.", "examples": ["monday"], "x-y": 2}},
        "required": ["day", "gone"],
    }
    assert gemini_schema.parameters(schema) == {
        "type": "OBJECT",
        "properties": {"day": {"type": "STRING", "description": "When."}},
        "required": ["day"],
    }


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"type": "object", "properties": {}}])
def test_a_tool_that_takes_nothing_declares_no_parameters(schema: dict[str, object]) -> None:
    assert gemini_schema.parameters(schema) is None


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}),
        ({"type": ["integer", "string", "null"], "description": "d"},
         {"description": "d", "nullable": True, "anyOf": [{"type": "INTEGER"}, {"type": "STRING"}]}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "STRING", "nullable": True}),
        ({"oneOf": [{"type": "string"}, {"type": "number"}]}, {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}]}),
        ({"type": "string", "enum": ["a", "b"]}, {"type": "STRING", "enum": ["a", "b"]}),
        ({"enum": ["a", None]}, {"type": "STRING", "enum": ["a"], "nullable": True}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "INTEGER"}),
        ({"type": "string", "enum": ["a", 1]}, {"type": "STRING"}),
        ({"const": "yes"}, {"type": "STRING", "enum": ["yes"]}),
        ({"description": "anything"}, {"type": "STRING", "description": "anything"}),
        ({"type": "array"}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 1},
         {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": 1}),
        ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
        ({"type": "string", "format": "email", "maxLength": 9}, {"type": "STRING", "maxLength": 9}),
        ({"type": "integer", "minimum": "0", "description": 7}, {"type": "INTEGER"}),
        ({"type": "integer", "format": "int64", "minimum": 0}, {"type": "INTEGER", "format": "int64", "minimum": 0}),
        ({"properties": {"a": {"type": "boolean"}}, "anyOf": [{"required": ["a"]}]},
         {"type": "OBJECT", "properties": {"a": {"type": "BOOLEAN"}}}),
        ({"allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]},
                    {"properties": {"b": {"type": "string"}}, "required": ["b"]}]},
         {"type": "OBJECT", "properties": {"a": {"type": "STRING"}, "b": {"type": "STRING"}}, "required": ["a", "b"]}),
        (True, {"type": "OBJECT"}),
    ],
)  # fmt: skip
def test_what_it_has_another_word_for_is_said_so(schema: dict[str, object], expected: dict[str, object]) -> None:
    assert of(schema) == expected


def test_a_reference_is_written_out() -> None:
    schema = {
        "type": "object",
        "properties": {"day": {"$ref": "#/$defs/Day", "description": "of the visit"}},
        "$defs": {"Day": {"type": "string", "enum": ["mon", "tue"]}},
    }
    assert gemini_schema.parameters(schema) == {
        "type": "OBJECT",
        "properties": {"day": {"type": "STRING", "enum": ["mon", "tue"], "description": "of the visit"}},
    }


@pytest.mark.parametrize("reference", [{"$ref": "#/$defs/Node"}, {"allOf": [{"$ref": "#/$defs/Node"}], "title": "n"}])
def test_a_schema_that_holds_itself_is_an_object_of_any_shape_within(reference: dict[str, object]) -> None:
    node = {"type": "object", "properties": {"name": {"type": "string"}, "left": reference, "right": reference}}
    found = gemini_schema.parameters(
        {"type": "object", "properties": {"n": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": node}}
    )
    assert found is not None
    inner = found["properties"]["n"]["properties"]
    assert inner == {"name": {"type": "STRING"}, "left": {"type": "OBJECT"}, "right": {"type": "OBJECT"}}


def test_one_definition_may_be_used_twice_beside_itself() -> None:
    day = {"type": "string", "enum": ["mon"]}
    schema = {"properties": {"a": {"$ref": "#/$defs/D"}, "b": {"$ref": "#/$defs/D"}}, "$defs": {"D": day}}
    found = gemini_schema.parameters(schema)
    assert found is not None
    assert found["properties"]["a"] == found["properties"]["b"] == {"type": "STRING", "enum": ["mon"]}


def test_schemas_within_schemas_end() -> None:
    schema: dict[str, object] = {"type": "string"}
    for _ in range(50):
        schema = {"type": "object", "properties": {"x": schema}}
    found, depth = gemini_schema.parameters(schema), 0
    while found and "properties" in found:
        found, depth = found["properties"]["x"], depth + 1
    assert (found, depth) == ({"type": "OBJECT"}, gemini_schema.DEPTH_MAX)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.sampled_from(["string", "object", "array", "null", "#/$defs/A"]),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "properties", "items", "anyOf", "allOf", "oneOf", "enum", "const", "required", "$ref", "$defs"]
            ),
            inner,
            max_size=4,
        ),
        max_leaves=20,
    )
)
@settings(max_examples=60, deadline=None)
def test_whatever_somebody_wrote_for_a_schema_is_adapted_or_left_out(schema: object) -> None:
    json.dumps(gemini_schema.parameters({"properties": {"x": schema}, "$defs": {"A": schema}}))


@pytest.mark.parametrize("path", ["#/$defs/Gone", "https://example.com/schema", "#/$defs/Loop"])
def test_a_reference_that_leads_nowhere_is_a_text(path: str) -> None:
    schema = {"type": "object", "properties": {"x": {"$ref": path}}, "$defs": {"Loop": {"$ref": "#/$defs/Loop"}}}
    assert gemini_schema.parameters(schema) == {"type": "OBJECT", "properties": {"x": {"type": "STRING"}}}


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ('{"booking":"B7"}', {"booking": "B7"}),
        ('{"error":"no such tool"}', {"error": "no such tool"}),
        ("[1,2]", {"output": [1, 2]}),
        ("7", {"output": 7}),
        ("done, thank you", {"output": "done, thank you"}),
        ("", {"output": ""}),
    ],
)
def test_a_result_is_always_an_object(output: str, expected: dict[str, object]) -> None:
    assert gemini_schema.response(output) == expected

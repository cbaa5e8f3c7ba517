"""The ground the models stand on: bounded types, conditions, CEL rules, and the way to a structural schema.

It knows what an API server asks of a CRD's schema. It refuses to know any kind of ours.
"""

import copy
from typing import Annotated, Any, TypeVar

import pydantic
from pydantic import alias_generators

Json = dict[str, Any]
Item = TypeVar("Item")

LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
HOST = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$"

Name = Annotated[str, pydantic.Field(min_length=1, max_length=40, pattern=LABEL)]
Namespace = Annotated[str, pydantic.Field(min_length=1, max_length=63, pattern=LABEL)]
SecretName = Annotated[str, pydantic.Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
SecretKey = Annotated[str, pydantic.Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
Host = Annotated[str, pydantic.Field(min_length=1, max_length=253, pattern=HOST)]
Number = Annotated[str, pydantic.Field(max_length=16, pattern=r"^\+[1-9][0-9]{6,14}$")]
# No more than any reader of URLs takes for a host and a port: one that it cannot read would break a loop of ours.
_AUTHORITY = (
    r"[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?"
    r"(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
)
HttpsUrl = Annotated[str, pydantic.Field(max_length=1024, pattern=rf"^https://{_AUTHORITY}([/?][^\s#]*)?$")]
WssUrl = Annotated[str, pydantic.Field(max_length=1024, pattern=rf"^wss://{_AUTHORITY}(/[^\s?#]*)?$")]
Token = Annotated[str, pydantic.Field(min_length=1, max_length=64, pattern=r"^[-._a-zA-Z0-9]+$")]
Voice = Annotated[str, pydantic.Field(min_length=1, max_length=128, pattern=r"^[-._:a-zA-Z0-9]+$")]
ModelName = Annotated[str, pydantic.Field(min_length=1, max_length=256, pattern=r"^[-._:/@a-zA-Z0-9]+$")]
ShortText = Annotated[str, pydantic.Field(max_length=1024)]


class Model(pydantic.BaseModel):
    """Frozen, camelCase outside, and strict: what the schema does not name is refused."""

    model_config = pydantic.ConfigDict(
        frozen=True, extra="forbid", alias_generator=alias_generators.to_camel, populate_by_name=True
    )


class StatusModel(pydantic.BaseModel):
    """What operators write. Read leniently, so that an older pod survives a newer one's fields."""

    model_config = pydantic.ConfigDict(
        frozen=True, extra="ignore", alias_generator=alias_generators.to_camel, populate_by_name=True
    )


class Condition(StatusModel):
    """One entry of status.conditions, as every Kubernetes client reads it."""

    type: Annotated[str, pydantic.Field(max_length=63)]
    status: Annotated[str, pydantic.Field(json_schema_extra={"enum": ["True", "False", "Unknown"]}, max_length=7)]
    reason: Annotated[
        str, pydantic.Field(min_length=1, max_length=128, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
    ]
    message: Annotated[str, pydantic.Field(max_length=4096)] = ""
    last_transition_time: Annotated[str, pydantic.Field(json_schema_extra={"format": "date-time"}, max_length=40)]
    observed_generation: Annotated[int, pydantic.Field(ge=0, json_schema_extra={"format": "int64"})] = 0


Conditions = Annotated[
    tuple[Condition, ...],
    pydantic.Field(
        max_length=32, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    ),
]


def cel(rule: str, message: str, *, at: str = "") -> Json:
    """One rule that the API server itself enforces; it stands beside the field that it guards.

    `at`: the path from there to the field to blame. A message cannot tell what was found: the cost of
    writing a number out counts as unbounded.
    """
    return {"rule": rule, "message": message} | ({"fieldPath": at} if at else {})


def rules(*each: Json) -> Json:
    """The rules of one object or field, as pydantic's `json_schema_extra`."""
    return {"x-kubernetes-validations": list(each)}


def immutable(name: str, why: str) -> Json:
    """The rule of a field that is set once."""
    return rules(cel("self == oldSelf", f"{name} is immutable: {why}"))


def by_key(key: str) -> Json:
    """A list whose items are told apart by one field: the API server refuses duplicates and merges item by item."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


AS_SET: Json = {"x-kubernetes-list-type": "set"}
FREE_FORM: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

_FREE_FORM_KEYS = ("type", "description", "maxProperties", "x-kubernetes-preserve-unknown-fields")
# What pydantic writes and an API server refuses or does not need.
_DROPPED = frozenset({"title", "$defs", "discriminator", "propertyNames"})


def to_structural(schema: Json) -> Json:
    """A model's JSON schema as the structural schema of a CRD: no references, no unions, nothing unbounded."""
    structural = _rewrite(schema, schema.get("$defs", {}))
    _refuse_unbounded(structural, "$")
    return structural


def _rewrite(node: Json, definitions: Json) -> Json:
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        return _rewrite({**target, **{key: value for key, value in node.items() if key != "$ref"}}, definitions)
    if "anyOf" in node:
        return _rewrite(_without_null(node), definitions)
    if node.get("x-kubernetes-preserve-unknown-fields"):
        return {key: node[key] for key in _FREE_FORM_KEYS if key in node}
    written: Json = {}
    for key, value in node.items():
        if key in _DROPPED or (key == "default" and value in (None, [], {})) or value is False:
            continue
        if key == "properties":
            written[key] = {name: _rewrite(each, definitions) for name, each in value.items()}
        elif key == "additionalProperties" and "properties" in node:
            continue  # An API server prunes, or refuses strictly, what is not named; both at once is not structural.
        elif key in {"items", "additionalProperties"}:
            written[key] = _rewrite(value, definitions)
        elif key == "const":
            written["enum"] = [value]
        else:
            written[key] = copy.deepcopy(value)  # What stands twice would be written as a reference.
    if node.get("default") is False:
        written["default"] = False
    return written


def _without_null(node: Json) -> Json:
    """`X | None` means that the field may be absent; an explicit null has no meaning of its own here."""
    kinds = [each for each in node["anyOf"] if each.get("type") != "null"]
    if len(kinds) != 1:
        raise ValueError(f"a union of {len(kinds)} kinds has no structural form; use optional members and a rule")
    return {**{key: value for key, value in node.items() if key != "anyOf"}, **kinds[0]}


def _refuse_unbounded(node: Json, path: str) -> None:
    """CEL's cost is estimated from bounds, and so is what a hostile object may cost us: there is no unbounded field."""
    kind = node.get("type")
    if kind == "string" and not ({"maxLength", "enum"} & node.keys()):
        raise ValueError(f"{path}: a string without maxLength")
    if kind == "array" and "maxItems" not in node:
        raise ValueError(f"{path}: a list without maxItems")
    if "additionalProperties" in node and "maxProperties" not in node:
        raise ValueError(f"{path}: a map without maxProperties")
    for name, each in node.get("properties", {}).items():
        _refuse_unbounded(each, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in node:
            _refuse_unbounded(node[key], f"{path}[]")

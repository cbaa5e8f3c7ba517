"""Holds every answer of the simulated Twilio API against the vendor's description."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from openapi_schema_validator import OAS30Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response

SPEC = json.loads((Path(__file__).parents[1] / "contract/specs/twilio-api-v2010.json").read_text())
_REGISTRY = Registry().with_resource("urn:spec", Resource(contents=SPEC, specification=DRAFT4))
_APPLICATION = {"$ref": "urn:spec#/components/schemas/api.v2010.account.application"}

# The cut of the description has no operations on the list of applications; its items are described.
_UNDESCRIBED = {
    ("GET", "/Applications.json", 200): {
        "type": "object",
        "additionalProperties": True,
        "required": ["applications", "next_page_uri"],
        "properties": {"applications": {"type": "array", "items": _APPLICATION}},
    },
    ("POST", "/Applications.json", 201): _APPLICATION,
    ("DELETE", "/Applications/", 204): None,
}
_ERROR = {
    "type": "object",
    "required": ["code", "message", "more_info", "status"],
    "properties": {
        "code": {"type": "integer"},
        "message": {"type": "string"},
        "more_info": {"type": "string"},
        "status": {"type": "integer"},
    },
}


def check(method: str, path: str, status: int, text: str) -> None:
    """Fails unless the answer is one that the description allows, with no property it does not know."""
    schema = _schema(method, path, status)
    if schema is None:
        assert text == ""
        return
    body = json.loads(text)
    OAS30Validator(schema, registry=_REGISTRY).validate(body)
    known = _known(schema)
    if known:
        assert set(body) <= known, f"unknown properties {set(body) - known}"


def _schema(method: str, path: str, status: int) -> dict[str, Any] | None:
    if status >= 400:
        return _ERROR
    for (other, part, expected), schema in _UNDESCRIBED.items():
        if method == other and part in path and status == expected:
            return schema
    for template, operations in SPEC["paths"].items():
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template).replace(".json", r"\.json"), path):
            content = operations[method.lower()]["responses"][str(status)].get("content")
            return content and _absolute(content["application/json"]["schema"])
    raise AssertionError(f"{method} {path} {status} is not described")


def _absolute(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: "urn:spec" + value if key == "$ref" else _absolute(value)
            for key, value in schema.items()
            if key not in ("example", "examples")
        }
    return [_absolute(item) for item in schema] if isinstance(schema, list) else schema


def _known(schema: dict[str, Any]) -> set[str]:
    if "$ref" in schema:
        schema = SPEC["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return set() if schema.get("additionalProperties") else set(schema.get("properties", {}))


class CheckedHttpClient(TwilioHttpClient):
    """The SDK's own client; each answer passes the description before the SDK sees it."""

    def __init__(self) -> None:
        super().__init__(timeout=5)
        self.checked = 0

    def request(self, method: str, url: str, *args: Any, **options: Any) -> Response:
        response = super().request(method, url, *args, **options)
        path = re.sub(r"^https?://[^/]+|\?.*$", "", url)
        check(method.upper(), path, response.status_code, response.text)
        self.checked += 1
        return response

    def close(self) -> None:
        if self.session is not None:
            self.session.close()

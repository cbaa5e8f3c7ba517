"""Holds every request to the simulated Twilio, and every answer of it, against the vendor's descriptions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from openapi_schema_validator import OAS30Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response

_FOLDER = Path(__file__).parents[1] / "contract/specs"
_NAMES = ("twilio-api-v2010", "twilio-trunking-v1", "twilio-routes-v2")
_SPECS = {f"urn:{name}": json.loads((_FOLDER / f"{name}.json").read_text()) for name in _NAMES}
_REGISTRY = Registry().with_resources(
    (urn, Resource(contents=spec, specification=DRAFT4)) for urn, spec in _SPECS.items()
)
_APPLICATION = {"$ref": "urn:twilio-api-v2010#/components/schemas/api.v2010.account.application"}
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
# The cut of the description has no operations on the list of applications; its items and its form are described.
_APPLICATIONS = "/2010-04-01/Accounts/{AccountSid}/Applications"
_UPDATE = _SPECS["urn:twilio-api-v2010"]["paths"][_APPLICATIONS + "/{Sid}.json"]["post"]
_UNDESCRIBED: dict[tuple[str, str], dict[str, Any]] = {
    ("get", _APPLICATIONS + ".json"): {
        "parameters": [{"name": name, "in": "query"} for name in ("FriendlyName", "PageSize", "Page", "PageToken")],
        "responses": {
            "200": {
                "type": "object",
                "additionalProperties": True,
                "required": ["applications", "next_page_uri"],
                "properties": {"applications": {"type": "array", "items": _APPLICATION}},
            }
        },
    },
    ("post", _APPLICATIONS + ".json"): {"requestBody": _UPDATE["requestBody"], "responses": {"201": _APPLICATION}},
    ("delete", _APPLICATIONS + "/{Sid}.json"): {"responses": {"204": None}},
}


def check(method: str, path: str, status: int, text: str) -> None:
    """Fails unless the answer is one that the description allows, with no property it does not know."""
    urn, operation = _operation(method, path)
    schema = _answer_schema(urn, operation, status, f"{method} {path} {status}")
    if schema is None:
        assert text == ""
        return
    body = json.loads(text)
    OAS30Validator(schema, registry=_REGISTRY).validate(body)
    known = _known(schema)
    if known:
        assert set(body) <= known, f"unknown properties {set(body) - known}"


def check_request(method: str, path: str, query: Mapping[str, str], form: Mapping[str, str]) -> None:
    """Fails unless every parameter of the request is described, of the right form, and none is missing."""
    urn, operation = _operation(method, path)
    described = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"}
    assert set(query) <= described, f"{method} {path}: undescribed parameters {set(query) - described}"
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/x-www-form-urlencoded", {}).get("schema", {})
    properties = schema.get("properties", {})
    assert set(form) <= set(properties), f"{method} {path}: undescribed fields {set(form) - set(properties)}"
    missing = set(schema.get("required", ())) - set(form)
    assert not missing, f"{method} {path}: missing fields {missing}"
    for name, value in form.items():
        field = _absolute(properties[name], urn)
        OAS30Validator(field, registry=_REGISTRY).validate(_typed(value, field.get("type")))


def _typed(value: str, kind: str | None) -> object:
    if kind == "integer":
        return int(value)
    if kind == "boolean":
        return {"true": True, "false": False}[value]
    return value


def _operation(method: str, path: str) -> tuple[str, dict[str, Any]]:
    for (other, template), operation in _UNDESCRIBED.items():
        if method.lower() == other and _fits(template, path):
            return "urn:twilio-api-v2010", operation
    for urn, spec in _SPECS.items():
        for template, operations in spec["paths"].items():
            if method.lower() in operations and _fits(template, path):
                return urn, operations[method.lower()]
    raise AssertionError(f"{method} {path} is not described")


def _fits(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template).replace(".json", r"\.json"), path) is not None


def _answer_schema(urn: str, operation: dict[str, Any], status: int, what: str) -> dict[str, Any] | None:
    if status >= 400:
        return _ERROR
    answers = operation["responses"]
    assert str(status) in answers, f"{what} is not described"
    answer = answers[str(status)]
    if answer is None or "description" not in answer:
        return answer
    content = answer.get("content")
    return content and _absolute(content["application/json"]["schema"], urn)


def _absolute(schema: Any, urn: str) -> Any:
    if isinstance(schema, dict):
        return {
            key: urn + value if key == "$ref" else _absolute(value, urn)
            for key, value in schema.items()
            if key not in ("example", "examples")
        }
    return [_absolute(item, urn) for item in schema] if isinstance(schema, list) else schema


def _known(schema: dict[str, Any]) -> set[str]:
    if "$ref" in schema:
        urn, _, pointer = schema["$ref"].partition("#")
        schema = _SPECS[urn]["components"]["schemas"][pointer.rpartition("/")[2]]
    return set() if schema.get("additionalProperties") else set(schema.get("properties", {}))


class CheckedHttpClient(TwilioHttpClient):
    """The SDK's own client; each exchange passes the description. `address` stands for every host of Twilio's."""

    def __init__(self, address: str = "") -> None:
        super().__init__(timeout=5)
        self.checked = 0
        self._address = address

    def request(self, method: str, url: str, *args: Any, **options: Any) -> Response:
        parts = urlsplit(url)
        if self._address:
            options["headers"] = {**(options.get("headers") or {}), "Host": parts.netloc}
            url = parts._replace(scheme="http", netloc=self._address).geturl()
        query = {**dict(parse_qsl(parts.query)), **_sent(options.get("params"))}
        check_request(method, parts.path, query, _sent(options.get("data")))
        response = super().request(method, url, *args, **options)
        check(method.upper(), parts.path, response.status_code, response.text)
        self.checked += 1
        return response

    def close(self) -> None:
        if self.session is not None:
            self.session.close()


def _sent(fields: Mapping[str, object] | None) -> dict[str, str]:
    """As the form goes out: what is None is left out."""
    given = {name: value for name, value in (fields or {}).items() if value is not None}
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}


class CheckedTransport(httpx.AsyncBaseTransport):
    """Takes a driver's requests for any host of Twilio's to one address; each exchange passes the description."""

    def __init__(self, address: str) -> None:
        self._address = httpx.URL(f"http://{address}")
        self._inner = httpx.AsyncHTTPTransport()
        self.requests: list[tuple[str, str, str]] = []
        self.failed: list[AssertionError] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host, path = request.url.host, request.url.path
        form = dict(parse_qsl(request.content.decode(), keep_blank_values=True))
        self.requests.append((request.method, host, path))
        try:
            check_request(request.method, path, dict(request.url.params), form)
        except Exception as error:
            # The driver would take it for a fault of the vendor's; the stage raises it at its end.
            self.failed.append(AssertionError(f"{request.method} {path}: {error}"))
        request.url = request.url.copy_with(scheme="http", host=self._address.host, port=self._address.port)
        response = await self._inner.handle_async_request(request)
        await response.aread()
        try:
            check(request.method, path, response.status_code, response.text)
        except Exception as error:
            self.failed.append(AssertionError(f"{request.method} {path} {response.status_code}: {error}"))
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()

"""Holds requests to the simulated Telnyx API, and its answers, against the vendor's own description.

The description states no licence, so it is not part of this repository: it is read from the folder `shared/apis` beside
the project where that is there, and what needs it is skipped where it is not.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft202012Validator

FOLDER = Path(__file__).parents[2].parent / "shared" / "apis"
FILES = ("telnyx-routing.json", "telnyx-call-control.json")
PRESENT = all((FOLDER / name).is_file() for name in FILES)
ABSENT = f"Telnyx's API description is not there ({FOLDER}); it states no licence and is not copied here"

# The cut of the description leaves these out; what they hold is described.
_UNDESCRIBED = {
    ("GET", "/phone_numbers", 200): ("list", "PhoneNumberDetailed"),
    ("GET", "/texml_applications", 200): ("list", "TexmlApplication"),
    ("POST", "/texml_applications", 201): ("one", "TexmlApplication"),
    ("POST", "/call_control_applications", 201): ("one", "CallControlApplication"),
    ("DELETE", "/texml_applications/{id}", 200): ("one", "TexmlApplication"),
    ("DELETE", "/call_control_applications/{id}", 200): ("one", "CallControlApplication"),
    ("GET", "/fqdn_connections", 200): ("list", "FqdnConnection"),
    ("GET", "/balance", 200): ("any", ""),
}


@functools.cache
def _specs() -> list[dict[str, Any]]:
    return [json.loads((FOLDER / name).read_text()) for name in FILES]


def check_request(method: str, path: str, body: object) -> None:
    """Fails unless the body is one that the description allows, with no field it does not know."""
    spec, operation = _operation(method, path)
    if operation is None or "requestBody" not in operation:
        assert not body or operation is None, f"{method} {path} takes no body"
        return
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    _validate(spec, schema, body, f"request {method} {path}")
    known = spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
    assert isinstance(body, dict)
    assert set(body) <= set(known), f"{method} {path}: unknown fields {set(body) - set(known)}"


def check_answer(method: str, path: str, status: int, body: object) -> None:
    """Fails unless the answer is one that the description allows, with no property that it does not know."""
    where = f"answer to {method} {path} {status}"
    spec, operation = _operation(method, path)
    if status >= 400:
        spec = _specs()[0]
        _validate(spec, {"$ref": "#/components/schemas/call-control_Errors"}, body, where)
        assert isinstance(body, dict)
        assert body["errors"], where
        return
    if operation is None:
        spec, schema = _specs()[0], _own_schema(method, path, status)
    else:
        schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
    _validate(spec, schema, body, where)
    for one in _objects(body):
        known = _known(spec, schema)
        assert known is None or set(one) <= known, f"{where}: unknown properties {set(one) - (known or set())}"


async def hold(answer: httpx.Response) -> None:
    """An httpx response hook: both sides of one exchange."""
    await answer.aread()
    path = re.sub(r"^/v2", "", answer.request.url.path)
    method = answer.request.method
    if answer.status_code < 400 and answer.request.content:
        check_request(method, path, json.loads(answer.request.content))
    check_answer(method, path, answer.status_code, answer.json())


HOOKS = {"response": [hold]} if PRESENT else {}


def _operation(method: str, path: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    for spec in _specs():
        for template, operations in spec["paths"].items():
            if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path) and method.lower() in operations:
                return spec, operations[method.lower()]
    return _specs()[0], None


def _own_schema(method: str, path: str, status: int) -> dict[str, Any]:
    for (other, template, expected), (shape, name) in _UNDESCRIBED.items():
        fits = re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path)
        if method == other and status == expected and fits:
            item = {"$ref": f"#/components/schemas/{name}"} if name else {}
            data = {"type": "array", "items": item} if shape == "list" else {"type": "object", **item}
            return {"type": "object", "required": ["data"], "properties": {"data": data}}
    raise AssertionError(f"{method} {path} {status} is not described")


def _validate(spec: dict[str, Any], schema: dict[str, Any], body: object, where: str) -> None:
    validator = Draft202012Validator({**schema, "components": spec["components"]})
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(body)]
    assert not errors, f"{where}: {errors}"


def _objects(body: object) -> list[dict[str, Any]]:
    data = body.get("data") if isinstance(body, dict) else None
    return [one for one in (data if isinstance(data, list) else [data]) if isinstance(one, dict)]


def _known(spec: dict[str, Any], schema: dict[str, Any]) -> set[str] | None:
    """The properties that the description gives to what lies under `data`; None when it leaves them open."""
    inner = schema.get("properties", {}).get("data", {})
    inner = inner.get("items", inner)
    if "$ref" not in inner:
        return None
    return set(spec["components"]["schemas"][inner["$ref"].rpartition("/")[2]].get("properties", {}))

"""Holds what is asked of the simulated Cloudflare and what it answers against the vendor's descriptions.

The descriptions are older than the API: more properties than they know are allowed. They ask every ingress rule for a
hostname, which the catch-all must not have, so that demand is dropped; and a failure to be a success too, so failures
are checked as failures.
"""

from __future__ import annotations

import copy
import functools
import json
import re
from pathlib import Path
from typing import Any

import httpx
from openapi_schema_validator import OAS30Validator

SPECS = Path(__file__).parents[1] / "contract" / "specs"
BASE = "/client/v4"


@functools.cache
def spec(name: str) -> dict[str, Any]:
    read = json.loads((SPECS / f"cloudflare-{name}.json").read_text())
    rule = copy.deepcopy(read["components"]["schemas"].get("tunnel_ingressRule"))
    if rule is not None:
        rule["required"] = ["service"]
        read["components"]["schemas"]["tunnel_ingressRule"] = rule
    return read


def check(method: str, path: str, sent: bytes, status: int, body: Any) -> None:
    """`path` as it was asked for, without the query."""
    name = "tunnel" if "/cfd_tunnel" in path else "load-balancer"
    operation = _operation(spec(name), method, path)
    asked = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if asked is not None and sent:
        _hold(name, asked, json.loads(sent), f"{method} {path}: what was sent")
    prefix = "tunnel" if name == "tunnel" else "load-balancing"
    failure = {"$ref": f"#/components/schemas/{prefix}_api-response-common-failure"}
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"] if status < 300 else failure
    _hold(name, schema, body, f"{method} {path} {status}")


class Checked:
    """An httpx hook for requests and answers alike; `count` of them were held against a description."""

    def __init__(self) -> None:
        self.count = 0

    def now(self, answer: httpx.Response) -> None:
        answer.read()
        self._check(answer)

    async def later(self, answer: httpx.Response) -> None:
        await answer.aread()
        self._check(answer)

    def _check(self, answer: httpx.Response) -> None:
        path = answer.request.url.path.removeprefix(BASE)
        check(answer.request.method, path, answer.request.content, answer.status_code, answer.json())
        self.count += 1


def _operation(of: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    for template, operations in of["paths"].items():
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path) and method.lower() in operations:
            return operations[method.lower()]
    raise AssertionError(f"{method} {path} is not described")


def _hold(name: str, schema: dict[str, Any], value: Any, what: str) -> None:
    validator = OAS30Validator({**schema, "components": spec(name)["components"]})
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
    assert not errors, f"{what}: {errors}"

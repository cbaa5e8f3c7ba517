"""How the simulated Twilio speaks HTTP: hosts and Regions, basic auth, forms in, JSON and pages out, error bodies.

    api.twilio.com                     Region us1
    trunking.dublin.ie1.twilio.com     Region ie1, through the edge dublin
    api.ie1.twilio.com                 no such host any more: a Region is reached through an edge

It knows no resource.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from aiohttp import web

HOME_REGION = "us1"
PRODUCTS = {"/2010-04-01/": "api", "/v1/Trunks": "trunking", "/v2/PhoneNumbers": "routes"}
NAME_MAX = 64

_PAGE_SIZE_DEFAULT = 50
_PAGE_SIZE_MAX = 1000


class ApiError(Exception):
    """Answered as Twilio's error body."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def response(self) -> web.Response:
        body = {
            "code": self.code,
            "message": str(self),
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }
        return answer(body, status=self.status)


def not_found(path: str) -> ApiError:
    return ApiError(404, 20404, f"The requested resource {path} was not found")


def region_of(request: web.Request) -> str:
    """The Region that a request reached; a request to a bare address or to any other name is one to the home Region."""
    host = request.host.partition(":")[0]
    if not host.endswith(".twilio.com"):
        return HOME_REGION
    product, *middle = host.removesuffix(".twilio.com").split(".")
    if not any(request.path.startswith(root) and product == name for root, name in PRODUCTS.items()):
        raise not_found(request.path)
    if not middle:
        return HOME_REGION
    if len(middle) != 2:
        raise ApiError(404, 20404, f"{host} is no host: a Region is reached through an edge")
    return middle[1]


def credentials(request: web.Request) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return user, password


async def form(request: web.Request) -> dict[str, str]:
    if request.body_exists and request.content_type != "application/x-www-form-urlencoded":
        raise ApiError(400, 20001, "Requests must be form-encoded")
    return {name: str(value) for name, value in (await request.post()).items()}


def whole(value: str, *, name: str, low: int, high: int) -> int:
    if not value.isdigit() or not low <= int(value) <= high:
        raise ApiError(400, 20001, f"{name} {value!r} is not a whole number from {low} to {high}")
    return int(value)


def truth(value: str, *, name: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise ApiError(400, 20001, f"{name} {value!r} is neither true nor false")
    return value.lower() == "true"


def friendly(value: str) -> str:
    if len(value) > NAME_MAX:
        raise ApiError(400, 20001, f"FriendlyName is longer than {NAME_MAX} characters")
    return value


def answer(body: Mapping[str, object], *, status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")


class Page:
    """The part of a list that a request asks for, and the addresses of the other parts."""

    def __init__(self, request: web.Request, items: Sequence[Mapping[str, object]]) -> None:
        self._request = request
        self.size = _bounded(request.query.get("PageSize"), _PAGE_SIZE_DEFAULT, low=1, high=_PAGE_SIZE_MAX)
        self.number = _bounded(request.query.get("Page"), 0, low=0, high=1_000_000)
        self.start = self.number * self.size
        self.items = list(items[self.start : self.start + self.size])
        self._more = self.start + self.size < len(items)

    def uri(self, number: int) -> str:
        token = {"PageToken": f"PA{number}"} if number else {}
        query = {**self._request.query, "PageSize": str(self.size), "Page": str(number), **token}
        return f"{self._request.path}?{urlencode(query)}"

    @property
    def following(self) -> str | None:
        return self.uri(self.number + 1) if self._more else None

    @property
    def previous(self) -> str | None:
        return self.uri(self.number - 1) if self.number else None


def page(request: web.Request, key: str, items: Sequence[Mapping[str, object]]) -> web.Response:
    """As the 2010 API pages."""
    part = Page(request, items)
    return answer(
        {
            key: part.items,
            "page": part.number,
            "page_size": part.size,
            "start": part.start,
            "end": max(part.start, part.start + len(part.items) - 1),
            "uri": part.uri(part.number),
            "first_page_uri": part.uri(0),
            "previous_page_uri": part.previous,
            "next_page_uri": part.following,
        }
    )


def meta_page(request: web.Request, key: str, items: Sequence[Mapping[str, object]]) -> web.Response:
    """As the newer APIs page: whole addresses, under `meta`."""
    part, base = Page(request, items), f"{request.scheme}://{request.host}"
    meta = {
        "key": key,
        "page": part.number,
        "page_size": part.size,
        "url": base + part.uri(part.number),
        "first_page_url": base + part.uri(0),
        "previous_page_url": part.previous and base + part.previous,
        "next_page_url": part.following and base + part.following,
    }
    return answer({key: part.items, "meta": meta})


def _bounded(value: str | None, default: int, *, low: int, high: int) -> int:
    if value is None:
        return default
    if not value.isdigit():
        raise ApiError(400, 20001, f"{value!r} is not a whole number")
    return min(high, max(low, int(value)))

"""How the simulated Cloudflare API speaks: who asks, what every answer is wrapped in, numbers in a query.

It knows no kind of object.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from holdfast_gameday.world.cloudflare_state import Rejected

BASE = "/client/v4"
PER_PAGE = 20
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Token:
    """`id` names it in the history; the request limit is counted by `user`."""

    id: str
    user: str
    writes: bool = True


# Set on a request before it is handled: whose it is, and of which moment the answer is to be.
TOKEN = web.RequestKey("token", Token)
AS_OF = web.RequestKey("as_of", float)


async def parsed(request: web.Request) -> Any:
    try:
        return json.loads(await request.read() or b"{}")
    except ValueError as error:
        raise Rejected(400, 1002, "validation failed: the body is not JSON") from error


def number(request: web.Request, name: str, default: int) -> int:
    given = request.query.get(name, str(default))
    if not given.isdecimal() or int(given) < 1:
        raise Rejected(400, 1002, f"validation failed: {name} must be a positive number")
    return int(given)


def page(request: web.Request, found: list[Any]) -> web.Response:
    """That part of a list which was asked for."""
    at, per_page = number(request, "page", 1), number(request, "per_page", PER_PAGE)
    shown = found[(at - 1) * per_page : at * per_page]
    info = {"page": at, "per_page": per_page, "count": len(shown), "total_count": len(found)}
    return success(shown, result_info=info)


def success(result: Any, *, result_info: Mapping[str, int] | None = None) -> web.Response:
    body: dict[str, Any] = {"success": True, "errors": [], "messages": [], "result": result}
    if result_info is not None:
        body["result_info"] = result_info
    return web.json_response(body)


def failure(status: int, code: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body = {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}
    return web.json_response(body, status=status, headers=headers)

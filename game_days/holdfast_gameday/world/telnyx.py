"""The simulated Telnyx API v2, as far as routing and calls in flight go: bearer keys, limits, faults on demand.

It answers from `telnyx_state` and commands `telnyx_calls`; it carries no sound and rings no phone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from holdfast_gameday.world import serve
from holdfast_gameday.world.connections import ConnectionLog
from holdfast_gameday.world.telnyx_calls import TelnyxCall, TelnyxCalls
from holdfast_gameday.world.telnyx_faults import LIMIT, Faults, Limits
from holdfast_gameday.world.telnyx_state import Kind, Object, Rejected, TelnyxState, name_of
from holdfast_gameday.world.telnyx_webhook import Deliverer

BASE = "/v2"
PAGE_SIZE_MAX = 250
WRITES = ("PUT", "PATCH", "POST", "DELETE")
COMMANDS = ("streaming_start", "streaming_stop", "transfer", "hangup")
PATHS: Mapping[str, Kind] = {
    "call_control_applications": "call_control_application",
    "texml_applications": "texml_application",
    "phone_numbers": "phone_number",
    "fqdn_connections": "fqdn_connection",
    "fqdns": "fqdn",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_TOO_MANY = Rejected(429, "10011", "Too many requests")
AS_OF = web.RequestKey("as_of", float)
PARTLY = web.RequestKey("partly", bool)


class TelnyxApi:
    """`keys`: the bearer keys that are taken. `opens`: whether a stream to this address would be accepted."""

    def __init__(
        self,
        state: TelnyxState,
        *,
        keys: frozenset[str] = frozenset({"KEY-practice"}),
        limit: int = LIMIT,
        opens: Callable[[str], bool] = lambda _url: True,
        connection_log: ConnectionLog | None = None,
        name: str = "api.telnyx.com",
    ) -> None:
        self.state = state
        self.faults = Faults()
        self.limits = Limits(state.clock, limit=limit)
        self.calls = TelnyxCalls(state.clock, told=self._told, opens=opens)
        self.webhooks = Deliverer(state.clock)
        self.requests: list[tuple[str, str]] = []
        """(method, path) of everything asked, refused requests included."""
        self._keys = keys
        self._log = connection_log
        self._name = name
        self.address: serve.Address | None = None

    @contextlib.asynccontextmanager
    async def serving(
        self, host: str, port: int, *, ssl_context: ssl.SSLContext | None = None
    ) -> AsyncIterator[serve.Address]:
        async with serve.serving(self._application(), host, port, ssl_context=ssl_context) as address:
            self.address = address
            delivering = asyncio.create_task(self.webhooks.run())
            try:
                yield address
            finally:
                delivering.cancel()
                await asyncio.gather(delivering, return_exceptions=True)

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._gate])
        for path, kind in PATHS.items():
            application.router.add_get(f"{BASE}/{path}", self._list(kind))
            application.router.add_get(f"{BASE}/{path}/{{id}}", self._one(kind))
            application.router.add_patch(f"{BASE}/{path}/{{id}}", self._write(kind))
            if kind in ("call_control_application", "texml_application"):
                application.router.add_post(f"{BASE}/{path}", self._create(kind))
                application.router.add_delete(f"{BASE}/{path}/{{id}}", self._delete(kind))
        application.add_routes([
            web.get(f"{BASE}/balance", self._balance),
            web.get(f"{BASE}/connections/{{id}}", self._connection),
            web.get(f"{BASE}/connections/{{id}}/active_calls", self._active_calls),
            web.get(f"{BASE}/calls/{{id}}", self._call),
            web.post(f"{BASE}/calls/{{id}}/actions/{{command}}", self._command),
        ])  # fmt: skip
        return application

    @web.middleware
    async def _gate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Is it in its limit, what goes wrong today, and is the key taken."""
        path = request.path.removeprefix(BASE)
        self.requests.append((request.method, path))
        if self._log is not None:
            self._log.record(
                source=request.remote or "", address=str(self.address), kind="telnyx-api", name=self._name,
                path=request.path,
            )  # fmt: skip
        allowed, headers = self.limits.spend(path.strip("/").partition("/")[0])
        try:
            answer = await self._with_faults(request, handler, path) if allowed else _failure(_TOO_MANY)
        except Rejected as rejected:
            answer = _failure(rejected)
        except web.HTTPException as error:
            answer = _failure(Rejected(error.status, "10005", "Resource not found"))
        answer.headers.update(headers)
        return answer

    async def _with_faults(self, request: web.Request, handler: Handler, path: str) -> web.StreamResponse:
        fault = self.faults.take(path, writes=request.method in WRITES)
        if fault is not None and fault.kind == "down":
            _broken(request)
            return web.Response(status=500)
        revoked = fault is not None and fault.kind == "revoked"
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if revoked or scheme != "Bearer" or key not in self._keys:
            raise Rejected(401, "10009", "Authentication failed")
        if fault is None:
            return await handler(request)
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        elif fault.kind == "error":
            raise Rejected(fault.status, "10007", "Unexpected error")
        elif fault.kind == "stale":
            request[AS_OF] = self.state.monotonic() - fault.seconds
        elif fault.kind == "partial":
            request[PARTLY] = True
        answer = await handler(request)
        if fault.kind == "commit":
            await asyncio.sleep(fault.seconds)
            _broken(request)
        return answer

    # Routing

    def _list(self, kind: Kind) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            found = self.state.listed(kind, at=request.get(AS_OF))
            found = [one for one in found if _wanted(kind, one, request.query)]
            if not request.query.get("sort"):
                found.reverse()  # newest first, unless the question says otherwise
            return _page(request, found)

        return answer

    def _one(self, kind: Kind) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            return _data(self.state.get(kind, request.match_info["id"], at=request.get(AS_OF)))

        return answer

    def _write(self, kind: Kind) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            body, source, partly = await _json(request), request.remote or "", request.get(PARTLY, False)
            return _data(self.state.write(kind, request.match_info["id"], body, source=source, partly=partly))

        return answer

    def _create(self, kind: Kind) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            body, source, partly = await _json(request), request.remote or "", request.get(PARTLY, False)
            return _data(self.state.create(kind, body, source=source, partly=partly), status=201)

        return answer

    def _delete(self, kind: Kind) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            return _data(self.state.delete(kind, request.match_info["id"], source=request.remote or ""))

        return answer

    async def _connection(self, request: web.Request) -> web.StreamResponse:
        kind, held = self.state.connection(request.match_info["id"], at=request.get(AS_OF))
        same = ("id", "active", "anchorsite_override", "tags", "created_at", "updated_at", "webhook_event_url")
        shown = {name: held[name] for name in same if name in held}
        return _data({**shown, "record_type": kind, "connection_name": name_of(kind, held)})

    async def _balance(self, _request: web.Request) -> web.StreamResponse:
        money = {"balance": "300.00", "credit_limit": "0.00", "available_credit": "300.00", "pending": "0.00"}
        return _data({"record_type": "balance", "currency": "EUR", **money})

    # Calls

    async def _active_calls(self, request: web.Request) -> web.StreamResponse:
        connection, _ = request.match_info["id"], self.state.connection(request.match_info["id"])
        calls = [
            {name: value for name, value in self._shown(call).items() if name not in ("is_alive", "start_time")}
            for call in self.calls.active(connection)
        ]
        return _page(request, calls, cursors=True)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        return _data(self._shown(self.calls.get(request.match_info["id"])))

    async def _command(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["command"]
        body = await _json(request)
        if name not in COMMANDS or not isinstance(body, dict):
            raise Rejected(404, "10005", "Resource not found")
        self.calls.command(request.match_info["id"], name, body)
        return _data({"result": "ok"})

    def _shown(self, call: TelnyxCall) -> Object:
        ended = call.ended_at if call.ended_at is not None else self.state.clock()
        shown: Object = {
            "record_type": "call", "call_control_id": call.call_control_id, "call_leg_id": call.leg_id,
            "call_session_id": call.session_id, "client_state": call.client_state, "is_alive": call.alive,
            "call_duration": int(ended - call.started_at), "start_time": _iso(call.started_at),
        }  # fmt: skip
        if call.ended_at is not None:
            shown["end_time"] = _iso(call.ended_at)
        return shown

    def _told(self, call: TelnyxCall, kind: str, about: Mapping[str, Any]) -> None:
        """Events go where the call's application says now."""
        try:
            _, held = self.state.connection(call.connection_id)
        except Rejected:
            return
        payload = {
            "call_control_id": call.call_control_id, "call_leg_id": call.leg_id, "call_session_id": call.session_id,
            "connection_id": call.connection_id, "client_state": call.client_state, **about,
        }  # fmt: skip
        addresses = (held.get("webhook_event_url") or "", held.get("webhook_event_failover_url") or "")
        self.webhooks.put(kind, payload, addresses)


def _wanted(kind: Kind, one: Object, query: Mapping[str, str]) -> bool:
    """The filters that the drivers and the SDK use; text is matched anywhere and without regard to case."""
    contains = {
        "call_control_application": ("filter[application_name][contains]", "application_name"),
        "texml_application": ("filter[friendly_name]", "friendly_name"),
    }.get(kind)
    if contains is not None and query.get(contains[0], "").lower() not in str(one[contains[1]]).lower():
        return False
    if kind == "phone_number":
        number, tag = query.get("filter[phone_number]", ""), query.get("filter[tag]")
        if (number and not number.isdecimal()) or number not in one["phone_number"]:
            return False
        return tag is None or tag in one["tags"]
    return kind != "fqdn" or query.get("filter[connection_id]") in (None, one["connection_id"])


def _page(request: web.Request, found: list[Object], *, cursors: bool = False) -> web.Response:
    size = min(PAGE_SIZE_MAX, _number(request, "page[size]", 20))
    number = _number(request, "page[number]", 1)
    shown = found[(number - 1) * size : number * size]
    pages = max(1, -(-len(found) // size))
    meta: Object = {"page_number": number, "page_size": size, "total_pages": pages, "total_results": len(found)}
    if cursors:
        meta = {**meta, "total_items": len(found), "cursors": {"after": "", "before": ""}}
    return web.json_response({"data": shown, "meta": meta})


def _number(request: web.Request, name: str, default: int) -> int:
    given = request.query.get(name, str(default))
    if not given.isdecimal() or int(given) < 1:
        raise Rejected(400, "10015", "Bad Request", pointer=f"/{name}")
    return int(given)


async def _json(request: web.Request) -> object:
    try:
        return json.loads(await request.read() or b"{}")
    except ValueError as error:
        raise Rejected(400, "10023", "Invalid JSON") from error


def _data(data: Object, *, status: int = 200) -> web.Response:
    return web.json_response({"data": data}, status=status)


def _failure(rejected: Rejected) -> web.Response:
    error: Object = {"code": rejected.code, "title": rejected.title, "detail": f"{rejected.title}."}
    if rejected.pointer:
        error["source"] = {"pointer": rejected.pointer}
    return web.json_response({"errors": [error]}, status=rejected.status)


def _broken(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))

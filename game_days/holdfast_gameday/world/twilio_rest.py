"""Twilio's REST API 2010-04-01 as far as a failover operator and a bridge use it: form requests in, JSON out.

It reads and writes the state and tells the call engine of updates to live calls; how a call obeys is not its business.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar
from urllib.parse import urlencode

from aiohttp import web

from holdfast_gameday.world.connections import ConnectionLog
from holdfast_gameday.world.twilio_faults import Fault, FaultKind, Faults
from holdfast_gameday.world.twilio_state import (
    API_VERSION,
    LIVE_STATUSES,
    Account,
    Application,
    CallResource,
    Number,
    TwilioState,
    Write,
)

_ACCOUNTS = f"/{API_VERSION}/Accounts"
_PAGE_SIZE_DEFAULT = 50
_PAGE_SIZE_MAX = 1000


class Engine(Protocol):
    """What the API can do to a live call."""

    def redirect(self, call_sid: str, url: str, *, method: str, fallback_url: str) -> None: ...

    def replace_twiml(self, call_sid: str, twiml: str) -> None: ...

    def complete(self, call_sid: str) -> None: ...


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
        return _json(body, status=self.status)


@dataclass(slots=True)
class TwilioRest:
    state: TwilioState
    engine: Engine
    faults: Faults
    log: ConnectionLog | None = None
    concurrency_limit: int | None = None
    _in_flight: int = 0

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        account = _ACCOUNTS + "/{account}"
        app.add_routes(
            [
                web.get(account + ".json", self._fetch_account),
                web.get(account + "/Calls.json", self._list_calls),
                web.get(account + "/Calls/{sid}.json", self._fetch_call),
                web.post(account + "/Calls/{sid}.json", self._update_call),
                web.get(account + "/Applications.json", self._list_applications),
                web.post(account + "/Applications.json", self._create_application),
                web.get(account + "/Applications/{sid}.json", self._fetch_application),
                web.post(account + "/Applications/{sid}.json", self._update_application),
                web.delete(account + "/Applications/{sid}.json", self._delete_application),
                web.get(account + "/IncomingPhoneNumbers.json", self._list_numbers),
                web.get(account + "/IncomingPhoneNumbers/{sid}.json", self._fetch_number),
                web.post(account + "/IncomingPhoneNumbers/{sid}.json", self._update_number),
            ]
        )
        return app

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Everything that holds for every request: the log, concurrency, faults, credentials, errors."""
        self._in_flight += 1
        try:
            self._record(request)
            fault = self.faults.take(request.method, request.path)
            answer = await self._answer(request, handler, fault)
            answer.headers["Twilio-Concurrent-Requests"] = str(self._in_flight)
            return answer
        finally:
            self._in_flight -= 1

    async def _answer(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        fault: Fault | None,
    ) -> web.StreamResponse:
        too_many = self.concurrency_limit is not None and self._in_flight > self.concurrency_limit
        kind = fault.kind if fault is not None else None
        if too_many or kind is FaultKind.TOO_MANY:
            return ApiError(429, 20429, "Too Many Requests").response()
        if fault is not None and kind is FaultKind.ERROR:
            return ApiError(fault.status, 20500, "Internal Server Error").response()
        if fault is not None and kind is FaultKind.SLOW:
            await asyncio.sleep(fault.delay_s)
        if kind is FaultKind.DROP:
            return await _dropped(request, fault)
        answer = await self._handled(request, handler)
        if kind is FaultKind.COMMIT_THEN_TIMEOUT:
            return await _dropped(request, fault)
        return answer

    async def _handled(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            self._account(request)
            return await handler(request)
        except ApiError as error:
            return error.response()
        except web.HTTPException:
            return _not_found(request.path).response()

    def _record(self, request: web.Request) -> None:
        if self.log is not None and request.transport is not None:
            host, port = request.transport.get_extra_info("sockname")[:2]
            self.log.record(
                source=request.remote or "",
                name=request.host.partition(":")[0],
                address=f"{host}:{port}",
                kind="twilio-api",
                path=request.path,
            )

    def _account(self, request: web.Request) -> Account:
        user, password = _credentials(request)
        sid = request.match_info.get("account", "")
        account = self.state.accounts.get(sid)
        if account is None or not account.admits(user, password):
            raise ApiError(401, 20003, "Authenticate")
        return account

    # Accounts and calls

    async def _fetch_account(self, request: web.Request) -> web.Response:
        return _json(self._account(request).shown())

    async def _list_calls(self, request: web.Request) -> web.Response:
        account = self._account(request)
        wanted = {"Status": "status", "To": "to_number", "From": "from_number"}
        calls = [
            call
            for call in reversed(account.calls.values())
            if all(getattr(call, name) == request.query[key] for key, name in wanted.items() if key in request.query)
        ]
        return _page(request, "calls", [call.shown() for call in calls])

    async def _fetch_call(self, request: web.Request) -> web.Response:
        return _json(self._call(request).shown())

    async def _update_call(self, request: web.Request) -> web.Response:
        call = self._call(request)
        form = await _form(request)
        if "Url" in form and "Twiml" in form:
            raise ApiError(400, 21219, "Url and Twiml are mutually exclusive")
        status = form.get("Status")
        if status not in (None, "completed", "canceled"):
            raise ApiError(400, 20001, f"Status {status!r} is neither completed nor canceled")
        if call.status not in LIVE_STATUSES:
            if status is not None:
                raise _not_found(request.path)
            raise ApiError(400, 21220, "Call is not in-progress. Cannot redirect.")
        self._wrote(request, form)
        if status is not None:
            self.engine.complete(call.sid)
        elif "Twiml" in form:
            self.engine.replace_twiml(call.sid, form["Twiml"])
        elif "Url" in form:
            method, fallback = form.get("Method", "POST"), form.get("FallbackUrl", "")
            self.engine.redirect(call.sid, form["Url"], method=method, fallback_url=fallback)
        return _json(call.shown())

    def _call(self, request: web.Request) -> CallResource:
        return _found(self._account(request).calls, request)

    # Applications

    async def _list_applications(self, request: web.Request) -> web.Response:
        account, name = self._account(request), request.query.get("FriendlyName")
        found = [app.shown() for app in account.applications.values() if name in (None, app.friendly_name)]
        return _page(request, "applications", found)

    async def _create_application(self, request: web.Request) -> web.Response:
        form = await _form(request)
        application = self.state.add_application(self._account(request), **_fields(form, Application.WRITABLE))
        self._wrote(request, form, resource=f"Applications/{application.sid}")
        return _json(application.shown(), status=201)

    async def _fetch_application(self, request: web.Request) -> web.Response:
        return _json(_found(self._account(request).applications, request).shown())

    async def _update_application(self, request: web.Request) -> web.Response:
        form = await _form(request)
        application = _found(self._account(request).applications, request)
        self._assign(application, _fields(form, Application.WRITABLE))
        self._wrote(request, form)
        return _json(application.shown())

    async def _delete_application(self, request: web.Request) -> web.Response:
        account = self._account(request)
        application = _found(account.applications, request)
        del account.applications[application.sid]
        for number in account.numbers.values():
            if number.voice_application_sid == application.sid:
                number.voice_application_sid = ""
        self._wrote(request, {"Delete": "true"})
        return web.Response(status=204)

    # Numbers

    async def _list_numbers(self, request: web.Request) -> web.Response:
        account, query = self._account(request), request.query
        found = [
            number.shown()
            for number in account.numbers.values()
            if query.get("PhoneNumber", "") in number.phone_number
            and query.get("FriendlyName") in (None, number.friendly_name or number.phone_number)
        ]
        return _page(request, "incoming_phone_numbers", found)

    async def _fetch_number(self, request: web.Request) -> web.Response:
        return _json(_found(self._account(request).numbers, request).shown())

    async def _update_number(self, request: web.Request) -> web.Response:
        account, form = self._account(request), await _form(request)
        number = _found(account.numbers, request)
        fields = _fields(form, Number.WRITABLE)
        application, trunk = fields.get("voice_application_sid"), fields.get("trunk_sid")
        if application and trunk:
            raise ApiError(400, 21502, "TrunkSid and VoiceApplicationSid are mutually exclusive")
        if application and application not in account.applications:
            raise ApiError(400, 21218, f"Invalid ApplicationSid {application}")
        self._assign(number, fields)
        if application:
            number.trunk_sid = ""
        elif trunk:
            number.voice_application_sid = ""
        self._wrote(request, form)
        return _json(number.shown())

    # Writing

    def _assign(self, target: Application | Number, fields: Mapping[str, str]) -> None:
        for name, value in fields.items():
            setattr(target, name, value)
        target.updated_at = self.state.clock()

    def _wrote(self, request: web.Request, form: Mapping[str, str], *, resource: str = "") -> None:
        user, _ = _credentials(request)
        path = resource or request.path.partition("/Accounts/")[2].partition("/")[2].removesuffix(".json")
        source = request.remote or ""
        self.state.writes.append(Write(self.state.clock(), time.monotonic(), user, source, path, dict(form)))


_Resource = TypeVar("_Resource")


def _found(kept: Mapping[str, _Resource], request: web.Request) -> _Resource:
    try:
        return kept[request.match_info["sid"]]
    except KeyError:
        raise _not_found(request.path) from None


def _not_found(path: str) -> ApiError:
    return ApiError(404, 20404, f"The requested resource {path} was not found")


def _credentials(request: web.Request) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return user, password


async def _form(request: web.Request) -> dict[str, str]:
    if request.body_exists and request.content_type != "application/x-www-form-urlencoded":
        raise ApiError(400, 20001, "Requests must be form-encoded")
    return {name: str(value) for name, value in (await request.post()).items()}


def _fields(form: Mapping[str, str], writable: tuple[str, ...]) -> dict[str, str]:
    """Known parameters as attributes; unknown ones are ignored, as Twilio does."""
    fields = {_snake(name): form[name] for name in writable if name in form}
    for name, value in fields.items():
        if name.endswith("_url") and value and not value.startswith(("http://", "https://")):
            raise ApiError(400, 21502, f"{name} is not a valid URL")
        if name.endswith("_method") and value not in ("GET", "POST"):
            raise ApiError(400, 20001, f"{name} is neither GET nor POST")
    return fields


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _page(request: web.Request, key: str, items: list[dict[str, object]]) -> web.Response:
    size = _whole(request.query.get("PageSize"), _PAGE_SIZE_DEFAULT, low=1, high=_PAGE_SIZE_MAX)
    page = _whole(request.query.get("Page"), 0, low=0, high=1_000_000)
    start = page * size
    shown = items[start : start + size]

    def uri(number: int) -> str:
        token = {"PageToken": f"PA{number}"} if number else {}
        query = {**request.query, "PageSize": str(size), "Page": str(number), **token}
        return f"{request.path}?{urlencode(query)}"

    return _json(
        {
            key: shown,
            "page": page,
            "page_size": size,
            "start": start,
            "end": max(start, start + len(shown) - 1),
            "uri": uri(page),
            "first_page_uri": uri(0),
            "previous_page_uri": uri(page - 1) if page else None,
            "next_page_uri": uri(page + 1) if start + size < len(items) else None,
        }
    )


def _whole(value: str | None, default: int, *, low: int, high: int) -> int:
    if value is None:
        return default
    if not value.isdigit():
        raise ApiError(400, 20001, f"{value!r} is not a whole number")
    return min(high, max(low, int(value)))


def _json(body: Mapping[str, object], *, status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")


async def _dropped(request: web.Request, fault: Fault | None) -> web.Response:
    """Never answers; the client either gives up before, or finds its connection gone after the delay."""
    await asyncio.sleep(fault.delay_s if fault is not None else 0)
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)

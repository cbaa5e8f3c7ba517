"""Twilio's REST API 2010-04-01 as far as a failover operator and a bridge use it, and what holds for all its APIs.

One server stands for every product and Region; the Host header says which is meant. It reads and writes the state and
tells the call engine of updates to live calls; how a call obeys is not its business.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from aiohttp import web

from holdfast_gameday.world import twilio_http as http
from holdfast_gameday.world.connections import ConnectionLog
from holdfast_gameday.world.twilio_faults import Fault, FaultKind, Faults
from holdfast_gameday.world.twilio_http import ApiError
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
from holdfast_gameday.world.twilio_trunking import TwilioTrunking

_ACCOUNTS = f"/{API_VERSION}/Accounts"
_SEEN = web.RequestKey("seen", TwilioState)


class Engine(Protocol):
    """What the API can do to a live call."""

    def redirect(self, call_sid: str, url: str, *, method: str, fallback_url: str) -> None: ...

    def replace_twiml(self, call_sid: str, twiml: str) -> None: ...

    def complete(self, call_sid: str) -> None: ...


@dataclass(slots=True)
class TwilioRest:
    state: TwilioState
    engine: Engine
    faults: Faults
    log: ConnectionLog | None = None
    concurrency_limit: int | None = None
    _in_flight: int = 0
    _past: TwilioState | None = None

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        app.add_routes(TwilioTrunking(self._seen, self._account, self._wrote).routes())
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
        self._keep_past(request, stale=kind is FaultKind.STALE)
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
            return http.not_found(request.path).response()

    def _keep_past(self, request: web.Request, *, stale: bool) -> None:
        """A stale read is shown the state as it was before the first write since the fault was armed."""
        if stale and self._past is not None:
            request[_SEEN] = self._past
        if not self.faults.awaits(FaultKind.STALE):
            self._past = None
        elif self._past is None and request.method != "GET":
            self._past = self.state.past()

    def _seen(self, request: web.Request) -> TwilioState:
        seen: TwilioState = request.get(_SEEN, self.state)
        return seen

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
        """The half of the account that the request means, if its key is one of that half."""
        user, password = http.credentials(request)
        region, sid = http.region_of(request), request.match_info.get("account")
        itself = sid is not None and request.path.endswith(f"/{sid}.json")
        for (owner, where), half in self._seen(request).halves.items():
            if where != region or sid not in (None, owner) or not half.admits(user, password):
                continue
            if itself and user in half.standard_keys:
                break
            if half.status == "active" or itself:
                return half
        raise ApiError(401, 20003, "Authenticate")

    # Accounts and calls

    async def _fetch_account(self, request: web.Request) -> web.Response:
        return http.answer(self._account(request).shown())

    async def _list_calls(self, request: web.Request) -> web.Response:
        account = self._account(request)
        wanted = {"Status": "status", "To": "to_number", "From": "from_number"}
        calls = [
            call
            for call in reversed(account.calls.values())
            if all(getattr(call, name) == request.query[key] for key, name in wanted.items() if key in request.query)
        ]
        return http.page(request, "calls", [call.shown() for call in calls])

    async def _fetch_call(self, request: web.Request) -> web.Response:
        return http.answer(self._call(request).shown())

    async def _update_call(self, request: web.Request) -> web.Response:
        call = self._call(request)
        form = await http.form(request)
        if "Url" in form and "Twiml" in form:
            raise ApiError(400, 21219, "Url and Twiml are mutually exclusive")
        status = form.get("Status")
        if status not in (None, "completed", "canceled"):
            raise ApiError(400, 20001, f"Status {status!r} is neither completed nor canceled")
        if call.status not in LIVE_STATUSES:
            if status is not None:
                raise http.not_found(request.path)
            raise ApiError(400, 21220, "Call is not in-progress. Cannot redirect.")
        self._wrote(request, form)
        if status is not None:
            self.engine.complete(call.sid)
        elif "Twiml" in form:
            self.engine.replace_twiml(call.sid, form["Twiml"])
        elif "Url" in form:
            method, fallback = form.get("Method", "POST"), form.get("FallbackUrl", "")
            self.engine.redirect(call.sid, form["Url"], method=method, fallback_url=fallback)
        return http.answer(call.shown())

    def _call(self, request: web.Request) -> CallResource:
        return _found(self._account(request).calls, request)

    # Applications

    async def _list_applications(self, request: web.Request) -> web.Response:
        account, name = self._account(request), request.query.get("FriendlyName")
        found = [app.shown() for app in account.applications.values() if name in (None, app.friendly_name)]
        return http.page(request, "applications", found)

    async def _create_application(self, request: web.Request) -> web.Response:
        form = await http.form(request)
        application = self.state.add_application(self._account(request), **_fields(form, Application.WRITABLE))
        self._wrote(request, form, resource=f"Applications/{application.sid}")
        return http.answer(application.shown(), status=201)

    async def _fetch_application(self, request: web.Request) -> web.Response:
        return http.answer(_found(self._account(request).applications, request).shown())

    async def _update_application(self, request: web.Request) -> web.Response:
        form = await http.form(request)
        application = _found(self._account(request).applications, request)
        self._assign(application, _fields(form, Application.WRITABLE))
        self._wrote(request, form)
        return http.answer(application.shown())

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
        return http.page(request, "incoming_phone_numbers", found)

    async def _fetch_number(self, request: web.Request) -> web.Response:
        return http.answer(_found(self._account(request).numbers, request).shown())

    async def _update_number(self, request: web.Request) -> web.Response:
        account, form = self._account(request), await http.form(request)
        number = _found(account.numbers, request)
        fields = _fields(form, Number.WRITABLE)
        application, trunk = fields.get("voice_application_sid"), fields.get("trunk_sid")
        if application and trunk:
            raise ApiError(400, 21502, "TrunkSid and VoiceApplicationSid are mutually exclusive")
        if application and application not in account.applications:
            raise ApiError(400, 21218, f"Invalid ApplicationSid {application}")
        if trunk and trunk not in account.trunks:
            raise ApiError(400, 20001, f"TrunkSid {trunk} is no trunk of the account")
        self._assign(number, fields)
        if application:
            number.trunk_sid = ""
        elif trunk:
            number.voice_application_sid = ""
        self._wrote(request, form)
        return http.answer(number.shown())

    # Writing

    def _assign(self, target: Application | Number, fields: Mapping[str, str]) -> None:
        for name, value in fields.items():
            setattr(target, name, value)
        target.updated_at = self.state.clock()

    def _wrote(self, request: web.Request, form: Mapping[str, str], *, resource: str = "") -> None:
        user, _ = http.credentials(request)
        after = request.path.partition("/Accounts/")[2].partition("/")[2] or request.path.split("/", 2)[2]
        path = resource or after.removesuffix(".json")
        source = request.remote or ""
        self.state.writes.append(Write(self.state.clock(), time.monotonic(), user, source, path, dict(form)))


_Resource = TypeVar("_Resource")


def _found(kept: Mapping[str, _Resource], request: web.Request) -> _Resource:
    try:
        return kept[request.match_info["sid"]]
    except KeyError:
        raise http.not_found(request.path) from None


def _fields(form: Mapping[str, str], writable: tuple[str, ...]) -> dict[str, str]:
    """Known parameters as attributes; unknown ones are ignored, as Twilio does."""
    fields = {_snake(name): form[name] for name in writable if name in form}
    for name, value in fields.items():
        if name == "friendly_name":
            http.friendly(value)
        if name.endswith("_url") and value and not value.startswith(("http://", "https://")):
            raise ApiError(400, 21502, f"{name} is not a valid URL")
        if name.endswith("_method") and value not in ("GET", "POST"):
            raise ApiError(400, 20001, f"{name} is neither GET nor POST")
    return fields


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


async def _dropped(request: web.Request, fault: Fault | None) -> web.Response:
    """Never answers; the client either gives up before, or finds its connection gone after the delay."""
    await asyncio.sleep(fault.delay_s if fault is not None else 0)
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)

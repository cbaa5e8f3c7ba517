"""Twilio's Trunking v1 and Routes v2 REST APIs as far as a failover operator uses them.

A trunk and an application exclude each other on a number: setting one deletes the other. All five fields of a new
OriginationUrl are required. Which Region a number's calls go to can be read and written; the simulation obeys at once,
where the vendor takes up to five minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web

from holdfast_gameday.world import twilio_http as http
from holdfast_gameday.world.twilio_http import ApiError
from holdfast_gameday.world.twilio_state import Account, Number, TwilioState
from holdfast_gameday.world.twilio_trunks import OriginationUrl, Trunk

_CREATE_NEEDS = ("Weight", "Priority", "Enabled", "FriendlyName", "SipUrl")
_TRANSFER_MODES = ("disable-all", "enable-all", "sip-only")


@dataclass(slots=True)
class TwilioTrunking:
    """`seen` gives the state that a request is shown and `half` its account; `wrote` keeps the history."""

    seen: Callable[[web.Request], TwilioState]
    half: Callable[[web.Request], Account]
    wrote: Callable[..., None]

    def routes(self) -> list[web.RouteDef]:
        trunk = "/v1/Trunks/{sid}"
        entries, entry = trunk + "/OriginationUrls", trunk + "/OriginationUrls/{entry}"
        numbers, number = trunk + "/PhoneNumbers", trunk + "/PhoneNumbers/{number}"
        return [
            web.get("/v1/Trunks", self._list_trunks),
            web.get(trunk, self._fetch_trunk),
            web.post(trunk, self._update_trunk),
            web.get(entries, self._list_entries),
            web.post(entries, self._create_entry),
            web.get(entry, self._fetch_entry),
            web.post(entry, self._update_entry),
            web.delete(entry, self._delete_entry),
            web.get(numbers, self._list_numbers),
            web.post(numbers, self._add_number),
            web.get(number, self._fetch_number),
            web.delete(number, self._remove_number),
            web.get("/v2/PhoneNumbers/{phone}", self._fetch_route),
            web.post("/v2/PhoneNumbers/{phone}", self._update_route),
        ]

    # Trunks

    async def _list_trunks(self, request: web.Request) -> web.Response:
        return http.meta_page(request, "trunks", [trunk.shown() for trunk in self.half(request).trunks.values()])

    async def _fetch_trunk(self, request: web.Request) -> web.Response:
        return http.answer(self._trunk(request).shown())

    async def _update_trunk(self, request: web.Request) -> web.Response:
        form, trunk = await http.form(request), self._trunk(request)
        url = form.get("DisasterRecoveryUrl", "")
        if url and not url.startswith(("http://", "https://")):
            raise ApiError(400, 20001, "DisasterRecoveryUrl is not a valid URL")
        method = form.get("DisasterRecoveryMethod", trunk.disaster_recovery_method)
        if method not in ("GET", "POST"):
            raise ApiError(400, 20001, "DisasterRecoveryMethod is neither GET nor POST")
        mode = form.get("TransferMode", trunk.transfer_mode)
        if mode not in _TRANSFER_MODES:
            raise ApiError(400, 20001, f"TransferMode {mode!r} is unknown")
        secure = http.truth(form["Secure"], name="Secure") if "Secure" in form else trunk.secure
        trunk.friendly_name = http.friendly(form.get("FriendlyName", trunk.friendly_name))
        trunk.domain_name = form.get("DomainName", trunk.domain_name)
        trunk.disaster_recovery_url = form.get("DisasterRecoveryUrl", trunk.disaster_recovery_url)
        trunk.disaster_recovery_method, trunk.transfer_mode, trunk.secure = method, mode, secure
        trunk.updated_at = self.seen(request).clock()
        self.wrote(request, form)
        return http.answer(trunk.shown())

    def _trunk(self, request: web.Request) -> Trunk:
        return _found(self.half(request).trunks, "sid", request)

    # OriginationUrls

    async def _list_entries(self, request: web.Request) -> web.Response:
        entries = self._trunk(request).origination_urls.values()
        return http.meta_page(request, "origination_urls", [entry.shown() for entry in entries])

    async def _create_entry(self, request: web.Request) -> web.Response:
        form, trunk = await http.form(request), self._trunk(request)
        missing = [name for name in _CREATE_NEEDS if not form.get(name)]
        if missing:
            raise ApiError(400, 20001, f"Missing required parameter {missing[0]} in the post body")
        fields = _entry_fields(form)
        entry = self.seen(request).add_origination_url(trunk, str(fields["friendly_name"]), str(fields["sip_url"]))
        _assign(entry, fields)
        self.wrote(request, form, resource=f"Trunks/{trunk.sid}/OriginationUrls/{entry.sid}")
        return http.answer(entry.shown(), status=201)

    async def _fetch_entry(self, request: web.Request) -> web.Response:
        return http.answer(self._entry(request).shown())

    async def _update_entry(self, request: web.Request) -> web.Response:
        form, entry = await http.form(request), self._entry(request)
        _assign(entry, _entry_fields(form))
        entry.updated_at = self.seen(request).clock()
        self.wrote(request, form)
        return http.answer(entry.shown())

    async def _delete_entry(self, request: web.Request) -> web.Response:
        entry = self._entry(request)
        del self._trunk(request).origination_urls[entry.sid]
        self.wrote(request, {"Delete": "true"})
        return web.Response(status=204)

    def _entry(self, request: web.Request) -> OriginationUrl:
        return _found(self._trunk(request).origination_urls, "entry", request)

    # Numbers of a trunk

    async def _list_numbers(self, request: web.Request) -> web.Response:
        trunk = self._trunk(request)
        numbers = [number for number in self.half(request).numbers.values() if number.trunk_sid == trunk.sid]
        return http.meta_page(request, "phone_numbers", [_on_trunk(number) for number in numbers])

    async def _add_number(self, request: web.Request) -> web.Response:
        form, trunk = await http.form(request), self._trunk(request)
        number = self.half(request).numbers.get(form.get("PhoneNumberSid", ""))
        if number is None:
            raise ApiError(400, 21404, "PhoneNumberSid is missing or unknown")
        number.trunk_sid, number.voice_application_sid = trunk.sid, ""
        self.wrote(request, form)
        return http.answer(_on_trunk(number), status=201)

    async def _fetch_number(self, request: web.Request) -> web.Response:
        return http.answer(_on_trunk(self._number(request)))

    async def _remove_number(self, request: web.Request) -> web.Response:
        self._number(request).trunk_sid = ""
        self.wrote(request, {"Delete": "true"})
        return web.Response(status=204)

    def _number(self, request: web.Request) -> Number:
        number = _found(self.half(request).numbers, "number", request)
        if number.trunk_sid != self._trunk(request).sid:
            raise http.not_found(request.path)
        return number

    # Routes

    async def _fetch_route(self, request: web.Request) -> web.Response:
        return http.answer(self._route(request))

    async def _update_route(self, request: web.Request) -> web.Response:
        form = await http.form(request)
        self._route(request)
        if "VoiceRegion" in form:
            self.seen(request).voice_regions[request.match_info["phone"]] = form["VoiceRegion"]
        self.wrote(request, form)
        return http.answer(self._route(request))

    def _route(self, request: web.Request) -> dict[str, object]:
        phone, half = request.match_info["phone"], self.half(request)
        number = next((each for each in half.numbers.values() if each.phone_number == phone), None)
        if number is None:
            raise http.not_found(request.path)
        return {
            "phone_number": phone,
            "url": f"https://routes.twilio.com/v2/PhoneNumbers/{phone}",
            "sid": "QQ" + number.sid[2:],
            "account_sid": half.sid,
            "friendly_name": None,
            "voice_region": self.seen(request).voice_region(phone),
            "date_created": None,
            "date_updated": None,
        }


_Resource = TypeVar("_Resource")


def _found(kept: Mapping[str, _Resource], key: str, request: web.Request) -> _Resource:
    try:
        return kept[request.match_info[key]]
    except KeyError:
        raise http.not_found(request.path) from None


def _entry_fields(form: Mapping[str, str]) -> dict[str, str | int | bool]:
    fields: dict[str, str | int | bool] = {}
    if "FriendlyName" in form:
        fields["friendly_name"] = http.friendly(form["FriendlyName"])
    if "SipUrl" in form:
        if not form["SipUrl"].startswith("sip:"):
            raise ApiError(400, 20001, "SipUrl must be of the sip: scheme")
        fields["sip_url"] = form["SipUrl"]
    if "Priority" in form:
        fields["priority"] = http.whole(form["Priority"], name="Priority", low=0, high=65535)
    if "Weight" in form:
        fields["weight"] = http.whole(form["Weight"], name="Weight", low=1, high=65535)
    if "Enabled" in form:
        fields["enabled"] = http.truth(form["Enabled"], name="Enabled")
    return fields


def _assign(entry: OriginationUrl, fields: Mapping[str, str | int | bool]) -> None:
    for name, value in fields.items():
        setattr(entry, name, value)


def _on_trunk(number: Number) -> dict[str, object]:
    """The number as a trunk shows it: fewer fields, other dates, an address instead of a path."""
    full = number.shown()
    names = (
        "account_sid", "address_requirements", "api_version", "beta", "capabilities", "friendly_name", "phone_number",
        "sid", "sms_application_sid", "sms_fallback_method", "sms_fallback_url", "sms_method", "sms_url",
        "status_callback", "status_callback_method", "trunk_sid", "voice_application_sid", "voice_caller_id_lookup",
        "voice_fallback_method", "voice_fallback_url", "voice_method", "voice_url",
    )  # fmt: skip
    url = f"https://trunking.twilio.com/v1/Trunks/{number.trunk_sid}/PhoneNumbers/{number.sid}"
    return {name: full[name] for name in names} | {
        "date_created": None,
        "date_updated": None,
        "url": url,
        "links": {},
    }

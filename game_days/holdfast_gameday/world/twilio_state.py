"""What the simulated Twilio keeps: accounts, applications, numbers and calls, and how the API shows them.

An account has a half in each Region: keys, applications, trunks and calls of its own, and a record of its own for every
number. Which record a call follows is the number's voice Region. No request is answered and no call is carried here.
"""

from __future__ import annotations

import copy
import datetime as dt
import email.utils
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from holdfast_gameday.world.twilio_http import HOME_REGION
from holdfast_gameday.world.twilio_trunks import OriginationUrl, Trunk

API_VERSION = "2010-04-01"
LIVE_STATUSES = frozenset({"queued", "ringing", "in-progress"})


def new_sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


def rfc2822(at: float | None) -> str | None:
    if at is None:
        return None
    return email.utils.format_datetime(dt.datetime.fromtimestamp(at, dt.UTC))


@dataclass(slots=True)
class Application:
    sid: str
    account_sid: str
    created_at: float
    updated_at: float
    friendly_name: str = ""
    voice_url: str = ""
    voice_method: str = "POST"
    voice_fallback_url: str = ""
    voice_fallback_method: str = "POST"
    status_callback: str = ""
    status_callback_method: str = "POST"

    WRITABLE = (
        "FriendlyName", "VoiceUrl", "VoiceMethod", "VoiceFallbackUrl", "VoiceFallbackMethod", "StatusCallback",
        "StatusCallbackMethod",
    )  # fmt: skip

    def shown(self) -> dict[str, object]:
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "api_version": API_VERSION,
            "date_created": rfc2822(self.created_at),
            "date_updated": rfc2822(self.updated_at),
            "friendly_name": self.friendly_name,
            "message_status_callback": None,
            "sms_fallback_method": "POST",
            "sms_fallback_url": None,
            "sms_method": "POST",
            "sms_status_callback": None,
            "sms_url": None,
            "status_callback": self.status_callback or None,
            "status_callback_method": self.status_callback_method,
            "uri": f"/{API_VERSION}/Accounts/{self.account_sid}/Applications/{self.sid}.json",
            "voice_caller_id_lookup": False,
            "voice_fallback_method": self.voice_fallback_method,
            "voice_fallback_url": self.voice_fallback_url or None,
            "voice_method": self.voice_method,
            "voice_url": self.voice_url or None,
            "public_application_connect_enabled": False,
        }


@dataclass(slots=True)
class Number:
    """An incoming phone number. An application or a trunk makes its own URLs ignored, and each removes the other."""

    sid: str
    account_sid: str
    phone_number: str
    created_at: float
    updated_at: float
    friendly_name: str = ""
    voice_url: str = ""
    voice_method: str = "POST"
    voice_fallback_url: str = ""
    voice_fallback_method: str = "POST"
    voice_application_sid: str = ""
    trunk_sid: str = ""

    WRITABLE = (
        "FriendlyName", "VoiceUrl", "VoiceMethod", "VoiceFallbackUrl", "VoiceFallbackMethod", "VoiceApplicationSid",
        "TrunkSid",
    )  # fmt: skip

    def shown(self) -> dict[str, object]:
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "address_sid": None,
            "address_requirements": "none",
            "api_version": API_VERSION,
            "beta": False,
            "capabilities": {"mms": False, "sms": False, "voice": True, "fax": False},
            "date_created": rfc2822(self.created_at),
            "date_updated": rfc2822(self.updated_at),
            "friendly_name": self.friendly_name or self.phone_number,
            "identity_sid": None,
            "phone_number": self.phone_number,
            "origin": "twilio",
            "sms_application_sid": None,
            "sms_fallback_method": "POST",
            "sms_fallback_url": None,
            "sms_method": "POST",
            "sms_url": None,
            "status_callback": None,
            "status_callback_method": "POST",
            "trunk_sid": self.trunk_sid or None,
            "uri": f"/{API_VERSION}/Accounts/{self.account_sid}/IncomingPhoneNumbers/{self.sid}.json",
            "voice_receive_mode": "voice",
            "voice_application_sid": self.voice_application_sid or None,
            "voice_caller_id_lookup": False,
            "voice_fallback_method": self.voice_fallback_method,
            "voice_fallback_url": self.voice_fallback_url or None,
            "voice_method": self.voice_method,
            "voice_url": self.voice_url or None,
            "emergency_status": "Inactive",
            "emergency_address_sid": None,
            "emergency_address_status": "unregistered",
            "bundle_sid": None,
            "status": "in-use",
            "type": None,
        }


@dataclass(slots=True)
class CallResource:
    sid: str
    account_sid: str
    from_number: str
    to_number: str
    number_sid: str
    created_at: float
    updated_at: float
    status: str = "ringing"
    started_at: float | None = None
    ended_at: float | None = None

    def shown(self) -> dict[str, object]:
        uri = f"/{API_VERSION}/Accounts/{self.account_sid}/Calls/{self.sid}"
        lasted = None if self.ended_at is None else str(round(self.ended_at - (self.started_at or self.ended_at)))
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "api_version": API_VERSION,
            "date_created": rfc2822(self.created_at),
            "date_updated": rfc2822(self.updated_at),
            "parent_call_sid": None,
            "from": self.from_number,
            "from_formatted": self.from_number,
            "to": self.to_number,
            "to_formatted": self.to_number,
            "phone_number_sid": self.number_sid,
            "status": self.status,
            "start_time": rfc2822(self.started_at),
            "end_time": rfc2822(self.ended_at),
            "duration": lasted,
            "price": None,
            "price_unit": "USD",
            "direction": "inbound",
            "answered_by": None,
            "forwarded_from": None,
            "group_sid": None,
            "caller_name": None,
            "queue_time": "0",
            "trunk_sid": None,
            "uri": f"{uri}.json",
            "subresource_uris": {
                name: f"{uri}/{path}.json"
                for name, path in (("events", "Events"), ("streams", "Streams"), ("recordings", "Recordings"))
            },
        }


@dataclass(slots=True)
class Account:
    """One Region's half of an account."""

    sid: str
    auth_token: str
    api_keys: dict[str, str] = field(default_factory=dict)
    """Key SID (`SK…`) to secret."""
    region: str = HOME_REGION
    standard_keys: set[str] = field(default_factory=set)
    """Those of the keys that may not see the account itself."""
    status: str = "active"
    friendly_name: str = "practice range"
    created_at: float = 0.0
    applications: dict[str, Application] = field(default_factory=dict)
    numbers: dict[str, Number] = field(default_factory=dict)
    trunks: dict[str, Trunk] = field(default_factory=dict)
    calls: dict[str, CallResource] = field(default_factory=dict)

    def admits(self, user: str, password: str) -> bool:
        expected = self.auth_token if user == self.sid else self.api_keys.get(user)
        return expected is not None and hmac.compare_digest(expected.encode(), password.encode())

    def shown(self) -> dict[str, object]:
        return {
            "sid": self.sid,
            "friendly_name": self.friendly_name,
            "status": self.status,
            "type": "Full",
            "auth_token": None,
            "owner_account_sid": self.sid,
            "date_created": rfc2822(self.created_at),
            "date_updated": rfc2822(self.created_at),
            "uri": f"/{API_VERSION}/Accounts/{self.sid}.json",
            "subresource_uris": {},
        }


@dataclass(frozen=True, slots=True)
class Write:
    """One change made by REST: what, by whom, when. The history by which a lever's use is proved."""

    at: float
    monotonic: float
    key: str
    source: str
    resource: str
    params: Mapping[str, str]


class TwilioState:
    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.accounts: dict[str, Account] = {}
        """By SID, the half that was added first."""
        self.halves: dict[tuple[str, str], Account] = {}
        """By SID and Region."""
        self.voice_regions: dict[str, str] = {}
        """Numbers whose calls go elsewhere than to the first half of their account."""
        self.writes: list[Write] = []

    def add_account(
        self, sid: str, *, auth_token: str, api_keys: Mapping[str, str] | None = None, region: str = HOME_REGION
    ) -> Account:
        """An account, or one more half of it: every number it has gets a blank record there."""
        half = Account(sid, auth_token, dict(api_keys or {}), region, created_at=self.clock())
        first = self.accounts.setdefault(sid, half)
        self.halves[sid, region] = half
        for number in first.numbers.values():
            self._record(half, number.sid, number.phone_number)
        return half

    def add_application(self, account: Account, **fields: str) -> Application:
        now = self.clock()
        application = Application(new_sid("AP"), account.sid, now, now, **fields)
        account.applications[application.sid] = application
        return application

    def add_number(self, account: Account, phone_number: str, **fields: str) -> Number:
        """The fields go to the given half's record."""
        sid = new_sid("PN")
        for (owner, _), half in self.halves.items():
            if owner == account.sid and half is not account:
                self._record(half, sid, phone_number)
        return self._record(account, sid, phone_number, **fields)

    def _record(self, half: Account, sid: str, phone_number: str, **fields: str) -> Number:
        now = self.clock()
        half.numbers[sid] = number = Number(sid, half.sid, phone_number, now, now, **fields)
        return number

    def add_trunk(self, account: Account, *, friendly_name: str = "", disaster_recovery_url: str = "") -> Trunk:
        now = self.clock()
        trunk = Trunk(
            new_sid("TK"),
            account.sid,
            now,
            now,
            friendly_name=friendly_name,
            disaster_recovery_url=disaster_recovery_url,
        )
        account.trunks[trunk.sid] = trunk
        return trunk

    def add_origination_url(self, trunk: Trunk, friendly_name: str, sip_url: str) -> OriginationUrl:
        now = self.clock()
        entry = OriginationUrl(new_sid("OU"), trunk.account_sid, trunk.sid, now, now, friendly_name, sip_url)
        trunk.origination_urls[entry.sid] = entry
        return entry

    def voice_region(self, phone_number: str) -> str:
        """Where calls to the number are processed."""
        if phone_number in self.voice_regions:
            return self.voice_regions[phone_number]
        return self._owner(phone_number).region

    def find_number(self, phone_number: str) -> tuple[Account, Number]:
        """The half that processes the number's calls, and its record there."""
        owner = self._owner(phone_number)
        half = self.halves.get((owner.sid, self.voice_region(phone_number)))
        if half is None:
            raise LookupError(f"calls to {phone_number} go to a Region in which account {owner.sid} has no half")
        return half, next(number for number in half.numbers.values() if number.phone_number == phone_number)

    def _owner(self, phone_number: str) -> Account:
        for account in self.accounts.values():
            if any(number.phone_number == phone_number for number in account.numbers.values()):
                return account
        raise LookupError(f"no account has the number {phone_number}")

    def past(self) -> TwilioState:
        """A copy of what can be read, as it is now."""
        copied = TwilioState(self.clock)
        copied.halves = copy.deepcopy(self.halves)
        copied.accounts = {sid: copied.halves[sid, first.region] for sid, first in self.accounts.items()}
        copied.voice_regions = dict(self.voice_regions)
        return copied

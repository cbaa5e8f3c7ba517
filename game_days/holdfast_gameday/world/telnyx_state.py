"""What Telnyx holds of routing: applications, numbers, SIP connections and their FQDNs, their past, and who wrote what.

It checks and applies writes as the vendor does: some fields are demanded in every PATCH, lists and `inbound` are
replaced whole, and a number may only be given to a connection that exists. It answers what was true at an earlier
moment, because reads may lag. It knows neither HTTP, keys nor calls.
"""

from __future__ import annotations

import copy
import datetime as dt
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["call_control_application", "texml_application", "phone_number", "fqdn_connection", "fqdn"]
Object = dict[str, Any]

KINDS: tuple[Kind, ...] = (
    "call_control_application", "texml_application", "phone_number", "fqdn_connection", "fqdn",
)  # fmt: skip
CONNECTIONS: tuple[Kind, ...] = ("call_control_application", "texml_application", "fqdn_connection")
SLOTS = ("default_primary_fqdn_id", "default_secondary_fqdn_id", "default_tertiary_fqdn_id")
REQUIRED: Mapping[Kind, tuple[str, ...]] = {
    "call_control_application": ("application_name", "webhook_event_url"),
    "texml_application": ("friendly_name", "voice_url"),
}
VERSIONS_KEPT = 1000
_READ_ONLY = frozenset({"id", "record_type", "created_at", "updated_at", "phone_number", "status", "connection_name"})
_INBOUND: Object = {
    "ani_number_format": "E.164-national", "dnis_number_format": "e164", "default_routing_method": "sequential",
    "default_primary_fqdn_id": None, "default_secondary_fqdn_id": None, "default_tertiary_fqdn_id": None,
    "channel_limit": None, "sip_region": "US", "timeout_1xx_secs": 3, "timeout_2xx_secs": 90,
}  # fmt: skip
_DEFAULTS: Mapping[Kind, Object] = {
    "call_control_application": {
        "active": True, "anchorsite_override": "Latency", "dtmf_type": "RFC 2833", "tags": [],
        "webhook_api_version": "2", "webhook_event_failover_url": "", "webhook_timeout_secs": None,
    },
    "texml_application": {
        "active": True, "anchorsite_override": "Latency", "dtmf_type": "RFC 2833", "tags": [],
        "voice_fallback_url": "", "voice_method": "post",
    },
    "phone_number": {
        "connection_id": None, "country_iso_alpha2": "DE", "status": "active", "tags": [], "external_pin": None,
        "phone_number_type": "local", "deletion_lock_enabled": False, "customer_reference": "",
    },
    "fqdn_connection": {
        "active": True, "anchorsite_override": "Latency", "tags": [], "transport_protocol": "TLS", "inbound": _INBOUND,
    },
    "fqdn": {"dns_record_type": "a", "port": 5061},
}  # fmt: skip


class Rejected(Exception):
    """The vendor's refusal: status, its error code, its title, and the field that it is about."""

    def __init__(self, status: int, code: str, title: str, *, pointer: str = "") -> None:
        super().__init__(title)
        self.status = status
        self.code = code
        self.title = title
        self.pointer = pointer


@dataclass(frozen=True, slots=True)
class Write:
    """One accepted write. `before` and `after` hold only what it changed."""

    at: float
    source: str
    kind: Kind
    id: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Version:
    monotonic: float
    objects: Mapping[Kind, Mapping[str, Object]]


class TelnyxState:
    def __init__(
        self, *, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.writes: list[Write] = []
        self.clock = clock
        self.monotonic = monotonic
        self._next_id = 1494404757140276700
        self._objects: dict[Kind, dict[str, Object]] = {kind: {} for kind in KINDS}
        self._versions: deque[_Version] = deque(maxlen=VERSIONS_KEPT)
        self._keep()

    def add(self, kind: Kind, **fields: Any) -> str:
        """A new object, as its owner would make it by hand. Returns its id."""
        self._next_id += 1
        made = {"id": str(self._next_id), "record_type": kind, **copy.deepcopy(dict(_DEFAULTS[kind]))}
        given = dict(fields)
        if kind == "fqdn_connection":
            given["inbound"] = {**_INBOUND, **given.get("inbound", {})}
        now = self._now_text()
        made |= {**copy.deepcopy(given), "created_at": now, "updated_at": now}
        if kind == "phone_number":
            made.setdefault("purchased_at", now)
        self._check(kind, made)
        self._objects[kind][made["id"]] = made
        self._keep()
        return str(made["id"])

    def listed(self, kind: Kind, *, at: float | None = None) -> list[Object]:
        return [self._shown(kind, one) for one in self._as_of(at)[kind].values()]

    def get(self, kind: Kind, object_id: str, *, at: float | None = None) -> Object:
        return self._shown(kind, self._held(kind, object_id, at=at))

    def connection(self, object_id: str, *, at: float | None = None) -> tuple[Kind, Object]:
        """Whatever a number may be given to: an application of either sort, or a SIP connection."""
        for kind in CONNECTIONS:
            if object_id in self._as_of(at)[kind]:
                return kind, self.get(kind, object_id, at=at)
        raise _not_found()

    def create(self, kind: Kind, body: object, *, source: str, partly: bool = False) -> Object:
        """`partly`: made with what is demanded and nothing else, and then it fails."""
        given = self._given(kind, body)
        if partly:
            given = {name: given[name] for name in REQUIRED[kind]}
        object_id = self.add(kind, **given)
        made = self._objects[kind][object_id]
        self.writes.append(Write(self.clock(), source, kind, object_id, {}, copy.deepcopy(given)))
        if partly:
            raise Rejected(500, "10007", "Unexpected error")
        return self._shown(kind, made)

    def write(self, kind: Kind, object_id: str, body: object, *, source: str, partly: bool = False) -> Object:
        """A PATCH. `partly`: only the first field that would change is done, and then it fails."""
        before = self._held(kind, object_id)
        given = self._given(kind, body)
        if kind == "fqdn_connection" and "inbound" in given:
            given["inbound"] = {**_INBOUND, **given["inbound"]}
        changes = {name: value for name, value in given.items() if before.get(name) != value}
        self._check(kind, {**before, **changes})
        if partly:
            changes = dict(list(changes.items())[:1])
        after = {**before, **copy.deepcopy(changes), "updated_at": self._now_text()}
        self._objects[kind][object_id] = after
        self._keep()
        self.writes.append(
            Write(
                self.clock(), source, kind, object_id, {name: before.get(name) for name in changes}, dict(changes)
            )
        )
        if partly:
            raise Rejected(500, "10007", "Unexpected error")
        return self._shown(kind, after)

    def delete(self, kind: Kind, object_id: str, *, source: str) -> Object:
        held = self._held(kind, object_id)
        if any(number["connection_id"] == object_id for number in self._objects["phone_number"].values()):
            raise Rejected(422, "10021", "Resource in use")
        del self._objects[kind][object_id]
        self._keep()
        self.writes.append(Write(self.clock(), source, kind, object_id, copy.deepcopy(held), {}))
        return self._shown(kind, held)

    def _held(self, kind: Kind, object_id: str, *, at: float | None = None) -> Object:
        found = self._as_of(at)[kind].get(object_id)
        if found is None:
            raise _not_found()
        return found

    def _given(self, kind: Kind, body: object) -> Object:
        if not isinstance(body, dict):
            raise Rejected(400, "10015", "Bad Request")
        for name in REQUIRED.get(kind, ()):
            if not body.get(name):
                raise Rejected(422, "10004", "Missing required parameter", pointer=f"/{name}")
        # A number's connection_name is the vendor's to say; a SIP connection's is the owner's.
        mine = {"connection_name"} if kind == "fqdn_connection" else set()
        return {name: value for name, value in body.items() if name not in _READ_ONLY - mine}

    def _check(self, kind: Kind, after: Object) -> None:
        for name, value in after.items():
            if name.endswith("_url") and value and not str(value).startswith(("http://", "https://")):
                raise Rejected(422, "10003", "Invalid URL", pointer=f"/{name}")
        tags = after.get("tags", [])
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise Rejected(422, "10015", "Bad Request", pointer="/tags")
        seconds = after.get("webhook_timeout_secs")
        if seconds is not None and not 0 <= seconds <= 30:
            raise Rejected(422, "10015", "Bad Request", pointer="/webhook_timeout_secs")
        given_to = after.get("connection_id") if kind == "phone_number" else None
        if given_to and not any(given_to in self._objects[each] for each in CONNECTIONS):
            raise Rejected(422, "10017", "Associated resource does not exist", pointer="/connection_id")
        if kind == "fqdn_connection":
            self._check_slots(after)

    def _check_slots(self, after: Object) -> None:
        for slot in SLOTS:
            named = after["inbound"][slot]
            held = self._objects["fqdn"].get(named) if named else None
            if named and (held is None or held["connection_id"] != after["id"]):
                raise Rejected(422, "10017", "Associated resource does not exist", pointer=f"/inbound/{slot}")

    def _shown(self, kind: Kind, held: Object) -> Object:
        shown = copy.deepcopy(held)
        if kind == "phone_number":
            name = None
            if held["connection_id"]:
                for each in CONNECTIONS:
                    about = self._objects[each].get(held["connection_id"])
                    name = name_of(each, about) if about is not None else name
            shown["connection_name"] = name
        return shown

    def _keep(self) -> None:
        self._versions.append(_Version(self.monotonic(), {kind: dict(held) for kind, held in self._objects.items()}))

    def _as_of(self, at: float | None) -> Mapping[Kind, Mapping[str, Object]]:
        if at is None:
            return self._versions[-1].objects
        return next((v.objects for v in reversed(self._versions) if v.monotonic <= at), self._versions[0].objects)

    def _now_text(self) -> str:
        return dt.datetime.fromtimestamp(self.clock(), dt.UTC).isoformat().replace("+00:00", "Z")


def name_of(kind: Kind, held: Object) -> str:
    field = {"call_control_application": "application_name", "texml_application": "friendly_name"}
    return str(held[field.get(kind, "connection_name")])


def _not_found() -> Rejected:
    return Rejected(404, "10005", "Resource not found")

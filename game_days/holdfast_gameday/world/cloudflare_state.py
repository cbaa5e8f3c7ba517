"""What Cloudflare holds of load balancing: pools, load balancers, monitors, their past, and who wrote what.

It checks and applies writes as the vendor does (PATCH overwrites a property whole, `origins` included) and answers what
was true at an earlier moment, because edges and reads may lag. It knows neither HTTP, tokens nor traffic.
"""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["pool", "load_balancer", "monitor"]
Object = dict[str, Any]

VERSIONS_KEPT = 1000
_POOL_DEFAULTS: Object = {
    "description": "", "enabled": True, "minimum_origins": 1, "monitor": None, "notification_email": "",
    "check_regions": None, "load_shedding": None, "origin_steering": None, "notification_filter": None,
    "latitude": None, "longitude": None,
}  # fmt: skip
_BALANCER_DEFAULTS: Object = {
    "description": "", "enabled": True, "proxied": True, "ttl": None, "steering_policy": "off", "region_pools": {},
    "country_pools": {}, "pop_pools": {}, "session_affinity": "none", "session_affinity_ttl": None,
    "session_affinity_attributes": None, "adaptive_routing": {"failover_across_pools": False},
    "location_strategy": None, "random_steering": None, "rules": [],
}  # fmt: skip
_NO_SHEDDING: Object = {
    "default_percent": 0, "default_policy": "random", "session_percent": 0, "session_policy": "hash",
}  # fmt: skip
_STEERED = ("off", "geo", "")
_READ_ONLY = frozenset({"id", "created_on", "modified_on", "disabled_at", "zone"})
_EDITABLE: dict[Kind, frozenset[str]] = {
    "pool": frozenset(_POOL_DEFAULTS) | {"name", "origins"},
    "load_balancer": frozenset(_BALANCER_DEFAULTS) | {"name", "default_pools", "fallback_pool"},
    "monitor": frozenset(),
}


class Rejected(Exception):
    """The vendor's refusal of a write or a read: status, its error code, its words."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Writer:
    token_id: str
    source: str


@dataclass(frozen=True, slots=True)
class Write:
    """One accepted write. `before` and `after` hold only what it changed."""

    at: float
    monotonic: float
    writer: Writer
    method: str
    kind: Kind
    id: str
    name: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Version:
    monotonic: float
    objects: Mapping[Kind, Mapping[str, Object]]


class CloudflareState:
    def __init__(
        self,
        *,
        account: str = "acc-practice",
        zones: Sequence[str] = ("zone-practice",),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.account = account
        self.zones = tuple(zones)
        self.writes: list[Write] = []
        self.health: dict[str, bool] = {}  # pool id -> what its monitor found; absent: not known
        self.clock = clock
        self.monotonic = monotonic
        self._objects: dict[Kind, dict[str, Object]] = {"pool": {}, "load_balancer": {}, "monitor": {}}
        self._versions: deque[_Version] = deque(maxlen=VERSIONS_KEPT)
        self._keep()

    def add_monitor(self, description: str, *, path: str = "/healthz", interval: int = 60) -> str:
        return self._add("monitor", description, {
            "type": "https", "description": description, "method": "GET", "path": path, "port": 443, "timeout": 5,
            "retries": 2, "interval": interval, "consecutive_up": 0, "consecutive_down": 0, "expected_codes": "2xx",
            "expected_body": "", "follow_redirects": False, "allow_insecure": False, "header": {}, "probe_zone": "",
        })  # fmt: skip

    def add_pool(
        self,
        name: str,
        address: str,
        *,
        port: int | None = None,
        description: str = "",
        monitor: str | None = None,
        enabled: bool = True,
    ) -> str:
        """One pool with one origin. Returns its id, which is the same in every run."""
        origin: Object = {"name": name, "address": address, "enabled": True, "weight": 1}
        if port is not None:
            origin["port"] = port
        fields = {"name": name, "origins": [origin], "description": description, "enabled": enabled, "monitor": monitor}
        return self._add("pool", name, _POOL_DEFAULTS | fields)

    def add_load_balancer(self, host: str, pools: Sequence[str], *, zone: str | None = None, **more: Any) -> str:
        """One balancer over these pools, the last of them its fallback; `more` are its other properties."""
        fields = {"name": host, "default_pools": list(pools), "fallback_pool": pools[-1], **more}
        return self._add("load_balancer", host, _BALANCER_DEFAULTS | fields | {"zone": zone or self.zones[0]})

    def listed(self, kind: Kind, *, at: float | None = None) -> list[Object]:
        return [_shown(one) for one in self._as_of(at)[kind].values()]

    def get(self, kind: Kind, object_id: str, *, at: float | None = None) -> Object:
        found = self._as_of(at)[kind].get(object_id)
        if found is None:
            raise Rejected(404, 1001, f"{kind} not found")
        return _shown(found)

    def zone_of(self, balancer: str) -> str | None:
        found = self._objects["load_balancer"].get(balancer)
        return found["zone"] if found else None

    def write(self, kind: Kind, object_id: str, body: object, *, method: str, writer: Writer) -> Object:
        """PATCH overwrites what the body names; PUT also puts everything else back to its default."""
        before = self._objects[kind].get(object_id)
        if before is None:
            raise Rejected(404, 1001, f"{kind} not found")
        if not isinstance(body, dict):
            raise Rejected(400, 1002, "validation failed: expected an object")
        given = {name: value for name, value in body.items() if name in _EDITABLE[kind]}
        after = copy.deepcopy(before)
        if method == "PUT":
            after |= copy.deepcopy(_POOL_DEFAULTS if kind == "pool" else _BALANCER_DEFAULTS)
            required = ("name", "origins") if kind == "pool" else ("name", "default_pools", "fallback_pool")
            if missing := [name for name in required if name not in given]:
                raise Rejected(400, 1002, f"validation failed: {', '.join(missing)} required")
        after |= copy.deepcopy(given)
        self._check(kind, after)
        self._stamp(after, before)
        self._objects[kind][object_id] = after
        self._keep()
        names = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        changed = sorted(names - _READ_ONLY)
        self.writes.append(
            Write(
                at=self.clock(), monotonic=self.monotonic(), writer=writer, method=method, kind=kind, id=object_id,
                name=after["name"], before={name: before.get(name) for name in changed},
                after={name: after.get(name) for name in changed},
            )
        )  # fmt: skip
        return _shown(after)

    def _add(self, kind: Kind, name: str, fields: Object) -> str:
        object_id = hashlib.sha256(f"{kind}/{name}".encode()).hexdigest()[:32]
        now = self._now_text()
        made = {"id": object_id, **copy.deepcopy(fields), "created_on": now, "modified_on": now}
        self._check(kind, made)
        self._stamp(made, {})
        self._objects[kind][object_id] = made
        self._keep()
        return object_id

    def _check(self, kind: Kind, after: Object) -> None:
        if kind == "monitor":
            return
        if not isinstance(after["enabled"], bool):
            raise Rejected(400, 1002, "validation failed: enabled must be a boolean")
        if not isinstance(after["description"], str) or not isinstance(after["name"], str) or not after["name"]:
            raise Rejected(400, 1002, "validation failed: name and description must be strings")
        if kind == "pool":
            _check_origins(after["origins"])
            if after["monitor"] and after["monitor"] not in self._objects["monitor"]:
                raise Rejected(400, 1002, "validation failed: no such monitor")
            if after["load_shedding"] is not None:
                after["load_shedding"] = _shedding(after["load_shedding"])
            return
        self._check_pools("default_pools", after["default_pools"])
        for field in ("region_pools", "country_pools", "pop_pools"):
            for place, listed in (after[field] or {}).items():
                self._check_pools(f"{field}.{place}", listed)
        if after["fallback_pool"] not in self._objects["pool"]:
            raise Rejected(400, 1002, "validation failed: fallback_pool must name an existing pool")
        if after["steering_policy"] not in _STEERED:
            raise Rejected(400, 1002, "validation failed: only steering_policy off and geo are spoken here")

    def _check_pools(self, field: str, listed: object) -> None:
        if not isinstance(listed, list) or not listed or any(pool not in self._objects["pool"] for pool in listed):
            raise Rejected(400, 1002, f"validation failed: {field} must name existing pools")

    def _stamp(self, after: Object, before: Object) -> None:
        now = self._now_text()
        after["modified_on"] = now
        _stamp_disabled(after, before, now)
        earlier = {origin["name"]: origin for origin in before.get("origins", ())}
        for origin in after.get("origins", ()):
            _stamp_disabled(origin, earlier.get(origin["name"], {}), now)

    def _keep(self) -> None:
        self._versions.append(_Version(self.monotonic(), {kind: dict(held) for kind, held in self._objects.items()}))

    def _as_of(self, at: float | None) -> Mapping[Kind, Mapping[str, Object]]:
        if at is None:
            return self._versions[-1].objects
        return next((v.objects for v in reversed(self._versions) if v.monotonic <= at), self._versions[0].objects)

    def _now_text(self) -> str:
        return dt.datetime.fromtimestamp(self.clock(), dt.UTC).isoformat().replace("+00:00", "Z")


def _shown(held: Object) -> Object:
    """A copy without our own bookkeeping, and without what is unset: the description gives most fields no null."""
    return copy.deepcopy({name: value for name, value in held.items() if value is not None and name != "zone"})


def _stamp_disabled(after: Object, before: Object, now: str) -> None:
    if after.get("enabled", True):
        after.pop("disabled_at", None)
    elif before.get("enabled", True) or "disabled_at" not in after:
        after["disabled_at"] = before.get("disabled_at") or now


def _shedding(given: object) -> Object:
    """What a write of it leaves: PATCH replaces the property whole, so what is not named is the default again."""
    if not isinstance(given, dict):
        raise Rejected(400, 1002, "validation failed: load_shedding must be an object")
    shedding = _NO_SHEDDING | given
    for field in ("default_percent", "session_percent"):
        percent = shedding[field]
        if isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 <= percent <= 100:
            raise Rejected(400, 1002, f"validation failed: {field} must be between 0 and 100")
    if shedding["default_policy"] not in ("random", "hash") or shedding["session_policy"] != "hash":
        raise Rejected(400, 1002, "validation failed: no such load shedding policy")
    return shedding


def _check_origins(origins: object) -> None:
    if not isinstance(origins, list) or not origins:
        raise Rejected(400, 1002, "validation failed: origins must not be empty")
    for origin in origins:
        if not isinstance(origin, dict) or not isinstance(origin.get("address"), str):
            raise Rejected(400, 1002, "validation failed: each origin needs an address")
        if not isinstance(origin.get("name"), str) or not isinstance(origin.setdefault("enabled", True), bool):
            raise Rejected(400, 1002, "validation failed: each origin needs a name; enabled must be a boolean")
        if not 0 <= origin.setdefault("weight", 1) <= 1:
            raise Rejected(400, 1002, "validation failed: origin weight must be between 0 and 1")

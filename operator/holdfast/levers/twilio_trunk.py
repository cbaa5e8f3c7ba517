"""A Twilio Elastic SIP Trunk: one standing OriginationUrl per region, switched by its `Enabled`.

Facts this rests on: among the enabled entries the lowest `Priority` is tried first and `Weight` shares the calls among
equal ones; with none enabled every call fails with error 32010, or goes to the trunk's `DisasterRecoveryUrl` if there
is one. Calls in progress stay where they are. https://www.twilio.com/docs/api/errors/32010

The mark stands in the entry's `FriendlyName`. An entry without it is read, to know whether the trunk would be empty
without ours, and never written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from holdfast.core.values import Budget
from holdfast.levers import marks
from holdfast.levers.base import DriverError, OriginChange, OriginReading
from holdfast.levers.twilio_api import NAME_MAX, TwilioApi

PRODUCT = "trunking"
SETTLE_S = 10.0
WEIGHT_MAX = 65535
PERCENT = 100
REGION_WEIGHT_MAX = WEIGHT_MAX // PERCENT


class TwilioTrunk:
    """One trunk of one zone.

    `origins`: by region, the entry's SIP address, its handle (`OU…`) or the words of its friendly name. `weights`: the
    regions' weights in the policy, where the trunk is to share calls by them; without, it knows on and off only.
    `disaster_url`: what the trunk's DisasterRecoveryUrl is meant to be; empty: it is the user's business.
    """

    def __init__(
        self,
        *,
        name: str,
        zone: str,
        trunk_sid: str,
        origins: Mapping[str, str],
        api: TwilioApi,
        clock: Callable[[], float],
        weights: Mapping[str, int] | None = None,
        disaster_url: str = "",
    ) -> None:
        self._name = name
        self._zone = zone
        self._path = f"/v1/Trunks/{trunk_sid}"
        self._origins = dict(origins)
        self._api = api
        self._clock = clock
        self._weights = None if weights is None else dict(weights)
        self._disaster_url = disaster_url
        self._switched_off: dict[str, float] = {}

    @property
    def name(self) -> str:
        """The lever's name in its policy."""
        return self._name

    def budget(self) -> Budget:
        """The requests left to everything of this half of the account."""
        return self._api.budget()

    async def read(self, region: str) -> OriginReading:
        """The region's entry, and what of the trunk is not as it is meant to be."""
        entries = await self._entries(urgent=False)
        entry, mark = self._own(entries, region)
        return OriginReading(
            region=region,
            enabled=bool(entry.get("enabled")),
            epoch=mark.epoch,
            share=None if self._weights is None else self._share(region, int(entry.get("weight") or 0)),
            drift=(*self._entry_drift(entry, entries, region), *await self._trunk_drift()),
        )

    def normalise(self, change: OriginChange) -> OriginReading:
        """The entry as it will read once the change is in force."""
        share = None if self._weights is None else self._share(change.region, self._weight(change))
        return OriginReading(region=change.region, enabled=change.enabled, epoch=change.epoch, share=share)

    async def apply(self, change: OriginChange) -> None:
        """One write to the region's own entry: `Enabled`, the epoch in our mark, and `Weight` where it is ours."""
        entries = await self._entries(urgent=True)
        entry, mark = self._own(entries, change.region)
        if mark.epoch > change.epoch:
            raise DriverError(
                "Fenced",
                f"lever {self._name}: the OriginationUrl of {change.region} was written under epoch {mark.epoch}, "
                f"ours is {change.epoch}",
                retryable=False,
            )
        form = self._form(change, mark)
        weight = form.get("Weight", str(entry.get("weight")))
        if (mark.epoch, entry.get("enabled"), str(entry.get("weight"))) == (change.epoch, change.enabled, weight):
            return
        if entry.get("enabled") and not change.enabled:
            self._refuse_to_empty(entries, entry, change.region)
        await self._write(str(entry["sid"]), form, off=not change.enabled)

    async def ensure_disaster_url(self, url: str) -> bool:
        """Make it the trunk's DisasterRecoveryUrl; True when it had to be written.

        The trunk itself bears no mark; it counts as ours while one of its entries carries our mark for this zone.
        """
        entries = await self._entries(urgent=False)
        if not any(str(e.get("friendly_name") or "").startswith(f"holdfast:{self._zone}/") for e in entries):
            raise DriverError(
                "NotOurs",
                f"lever {self._name}: no OriginationUrl of the trunk carries our mark holdfast:{self._zone}/<region>, "
                "so its DisasterRecoveryUrl is left alone",
                retryable=False,
            )
        trunk = await self._api.call("GET", PRODUCT, self._path)
        if (trunk.get("disaster_recovery_url"), trunk.get("disaster_recovery_method")) == (url, "POST"):
            return False
        form = {"DisasterRecoveryUrl": url, "DisasterRecoveryMethod": "POST"}
        await self._api.call("POST", PRODUCT, self._path, form=form)
        return True

    async def _entries(self, *, urgent: bool) -> list[Mapping[str, Any]]:
        return await self._api.pages(PRODUCT, f"{self._path}/OriginationUrls", "origination_urls", urgent=urgent)

    async def _write(self, sid: str, form: Mapping[str, str], *, off: bool) -> None:
        if off:
            self._switched_off[sid] = self._clock()
        try:
            await self._api.call("POST", PRODUCT, f"{self._path}/OriginationUrls/{sid}", form=form)
        except DriverError as e:
            if off and not e.outcome_unknown:
                del self._switched_off[sid]
            raise
        if not off:
            self._switched_off.pop(sid, None)

    def _form(self, change: OriginChange, mark: marks.Mark) -> dict[str, str]:
        """The user's words are cut from their end where the mark would not fit: a long name must not stop a move."""
        words = list(mark.words)
        while True:
            described = marks.render(marks.Mark(change.epoch, tuple(words)), self._zone, change.region)
            if len(described) <= NAME_MAX:
                break
            if not words:
                raise DriverError(
                    "NameTooLong",
                    f"lever {self._name}: the mark {described!r} is longer than the {NAME_MAX} characters that a "
                    "FriendlyName may have; shorten the names of the policy and the Region",
                    retryable=False,
                )
            words.pop()
        form = {"Enabled": str(change.enabled).lower(), "FriendlyName": described}
        if self._weights is not None:
            form["Weight"] = str(self._weight(change))
        return form

    def _refuse_to_empty(self, entries: Sequence[Mapping[str, Any]], own: Mapping[str, Any], region: str) -> None:
        """An entry that we switched off moments ago counts as off, whatever a stale list says.

        Nothing is awaited between this and the note of our own switch, so that of two moves at once, each of which
        would leave the other's region, the second is refused.
        """
        late = self._clock() - SETTLE_S
        left = [e for e in entries if e is not own and e.get("enabled")]
        if any(self._switched_off.get(str(e.get("sid")), float("-inf")) < late for e in left):
            return
        raise DriverError(
            "WouldEmpty",
            f"lever {self._name}: {region} holds the last enabled OriginationUrl of the trunk; without it every call "
            "fails with error 32010. Enable another region first",
            retryable=True,
        )

    def _own(self, entries: Sequence[Mapping[str, Any]], region: str) -> tuple[Mapping[str, Any], marks.Mark]:
        """The region's entry: the one that its origin names if it is marked, else the only one that bears its mark."""
        origin = self._origins.get(region)
        if not origin:
            raise DriverError(
                "NoOrigin",
                f"lever {self._name}: Region {region} names no OriginationUrl in spec.origins",
                retryable=False,
            )
        marked = []
        for entry in entries:
            mark = marks.parse(str(entry.get("friendly_name") or ""), self._zone, region)
            if mark is not None:
                marked.append((entry, mark))
        named = [e for e in entries if origin in (e.get("sid"), e.get("sip_url"), e.get("friendly_name"))]
        ours = [(e, m) for e, m in marked if e in named or " ".join(m.words) == origin]
        if named and not ours:
            raise DriverError(
                "NotOurs",
                f"lever {self._name}: the OriginationUrl {origin} of {region} lacks our mark; "
                f'put "holdfast:{self._zone}/{region}" first in its FriendlyName',
                retryable=False,
            )
        ours = ours or marked
        if len(ours) > 1:
            raise DriverError(
                "Ambiguous",
                f"lever {self._name}: {len(ours)} OriginationUrls of the trunk are marked for {region}; "
                "take the mark out of the FriendlyName of all but one",
                retryable=False,
            )
        if not ours:
            raise DriverError(
                "NoOrigin",
                f"lever {self._name}: the trunk has no OriginationUrl {origin} for {region}",
                retryable=False,
            )
        return ours[0]

    def _entry_drift(
        self, own: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], region: str
    ) -> tuple[str, ...]:
        found = []
        origin = self._origins[region]
        if origin.startswith("sip:") and own.get("sip_url") != origin:
            found.append(f"SipUrl of {region} is {own.get('sip_url')}, meant is {origin}")
        if self._weights is not None:
            others = {e.get("priority") for e in entries if e is not own and self._marked(e)}
            if others - {own.get("priority")}:
                found.append(
                    f"Priority of {region} is {own.get('priority')}, other regions have {sorted(map(str, others))}: "
                    "weights share calls only among equal priorities"
                )
        return tuple(found)

    def _marked(self, entry: Mapping[str, Any]) -> bool:
        described = str(entry.get("friendly_name") or "")
        return any(marks.parse(described, self._zone, region) is not None for region in self._origins)

    async def _trunk_drift(self) -> tuple[str, ...]:
        if not self._disaster_url:
            return ()
        try:
            trunk = await self._api.call("GET", PRODUCT, self._path)
        except DriverError as e:
            # A key that may not see the trunk itself must not cost the sight of its entries.
            return (f"DisasterRecoveryUrl cannot be read: {e.code}, {e}",)
        url, method = trunk.get("disaster_recovery_url"), trunk.get("disaster_recovery_method")
        if url != self._disaster_url:
            return (f"DisasterRecoveryUrl is {url or 'not set'}, meant is {self._disaster_url}",)
        return () if method == "POST" else (f"DisasterRecoveryMethod is {method}, meant is POST",)

    def _weight(self, change: OriginChange) -> int:
        return max(1, self._base(change.region) * min(PERCENT, change.share))

    def _share(self, region: str, weight: int) -> int:
        return min(PERCENT, round(weight / self._base(region)))

    def _base(self, region: str) -> int:
        """What one per cent of the region weighs. A standby region that is needed counts as much as the greatest."""
        weights = self._weights or {}
        return min(REGION_WEIGHT_MAX, weights.get(region) or max(weights.values(), default=0) or 1)

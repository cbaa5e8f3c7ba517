"""Twilio numbers: the addresses that a number itself carries, for fleets without an edge and without applications.

Facts this rests on: a `TrunkSid` or a `VoiceApplicationSid` makes Twilio ignore the number's own addresses, and setting
one of the two deletes the other. Each Region has a record of its own for every number; which of them a call follows is
said by `routes.twilio.com`. That is read here and never written: a change takes up to five minutes.
https://www.twilio.com/docs/global-infrastructure/inbound-call-processing

A number has no place for a mark, for its friendly name is the user's. Ours is one that the policy names and that
follows its own addresses: one that follows a trunk or an application is somebody else's arrangement and is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import quote

from holdfast.core.values import Budget
from holdfast.levers.base import DriverError, Pointer
from holdfast.levers.twilio_api import HOME_REGION, TwilioApi, shown

PRODUCT = "api"
ROUTE_FRESH_S = 300.0
_OVERRIDES = (("trunk_sid", "TrunkSid"), ("voice_application_sid", "VoiceApplicationSid"))


class TwilioNumbers:
    """The numbers of one account that the policy names.

    `halves`: the account by Region, each with its own key. `routes`: who is asked which Region a number's calls go to;
    without it the only half is written to.
    """

    def __init__(
        self,
        *,
        name: str,
        numbers: Collection[str],
        halves: Mapping[str, TwilioApi],
        clock: Callable[[], float],
        routes: TwilioApi | None = None,
    ) -> None:
        if routes is None and len(halves) != 1:
            raise ValueError("numbers of several Regions need somebody to ask for their routes")
        self._name = name
        self._numbers = frozenset(numbers)
        self._halves = dict(halves)
        self._routes = routes
        self._clock = clock
        self._routed: dict[str, tuple[str, float]] = {}

    @property
    def name(self) -> str:
        """The name of the lever in its policy."""
        return self._name

    def budget(self) -> Budget:
        """The smallest of the halves'."""
        return min((half.budget() for half in self._halves.values()), key=lambda budget: budget.left - budget.reserve)

    async def list(self) -> Mapping[str, Pointer]:
        """All that are ours and follow their own addresses, 1000 to a request and Region."""
        pointers: dict[tuple[str, str], Pointer] = {}
        for region, half in self._halves.items():
            entries = await half.pages(PRODUCT, half.path("IncomingPhoneNumbers"), "incoming_phone_numbers")
            for entry in entries:
                number = str(entry.get("phone_number") or "")
                if number in self._numbers and not any(entry.get(field) for field, _ in _OVERRIDES):
                    pointers[number, region] = _pointer(entry)
        numbers = sorted({number for number, _ in pointers})
        # A new process knows no route yet; one after the other, hundreds of them would hold up a move.
        regions = await asyncio.gather(*(self._region(number, urgent=False, fresh=False) for number in numbers))
        routed = zip(numbers, regions, strict=True)
        return {number: pointers[number, region] for number, region in routed if (number, region) in pointers}

    async def read(self, name: str) -> Pointer | None:
        """One of ours; None when the account has no such number."""
        half = await self._half(name, urgent=False, fresh=True)
        entry = await self._entry(half, name, urgent=False)
        return None if entry is None else _pointer(entry)

    async def apply(self, pointer: Pointer) -> None:
        """Write both addresses to the record which the number's calls follow."""
        half = await self._half(pointer.name, urgent=True, fresh=False)
        entry = await self._entry(half, pointer.name, urgent=True)
        if entry is None:
            raise DriverError(
                "NoOrigin",
                f"lever {self._name}: the account has no number {pointer.name} in Region {half.account.region}",
                retryable=False,
            )
        if _pointer(entry) == pointer:
            return
        form = {
            "VoiceUrl": pointer.voice_url,
            "VoiceMethod": "POST",
            "VoiceFallbackUrl": pointer.fallback_url,
            "VoiceFallbackMethod": "POST",
        }
        await half.call("POST", PRODUCT, half.path(f"IncomingPhoneNumbers/{entry['sid']}"), form=form)

    async def remove(self, name: str) -> bool:
        """Nothing was made here, so nothing is taken away: the number keeps answering as it did last."""
        self._check(name)
        return False

    async def _half(self, number: str, *, urgent: bool, fresh: bool) -> TwilioApi:
        self._check(number)
        region = await self._region(number, urgent=urgent, fresh=fresh)
        half = self._halves.get(region)
        if half is None:
            raise DriverError(
                "RoutedElsewhere",
                f"lever {self._name}: calls to {number} follow VoiceRegion={region}, and there is no key of that "
                f"Region; give one, or route the number to {' or '.join(sorted(self._halves))}",
                retryable=False,
            )
        return half

    async def _region(self, number: str, *, urgent: bool, fresh: bool) -> str:
        """A route changes rarely and slowly, so a move of calls takes the answer that is known, however old."""
        if self._routes is None:
            return next(iter(self._halves))
        known = self._routed.get(number)
        if known is not None and (not fresh or self._clock() - known[1] < ROUTE_FRESH_S):
            return known[0]
        try:
            answer = await self._routes.call(
                "GET", "routes", f"/v2/PhoneNumbers/{quote(number, safe='+')}", urgent=urgent
            )
        except DriverError as e:
            if e.code == "NoOrigin":
                answer = {}
            elif known is not None and e.retryable:
                return known[0]
            else:
                raise
        region = str(answer.get("voice_region") or HOME_REGION)
        self._routed[number] = (region, self._clock())
        return region

    async def _entry(self, half: TwilioApi, number: str, *, urgent: bool) -> Mapping[str, Any] | None:
        entries = await half.pages(
            PRODUCT,
            half.path("IncomingPhoneNumbers"),
            "incoming_phone_numbers",
            params={"PhoneNumber": number},
            urgent=urgent,
        )
        entry = next((e for e in entries if e.get("phone_number") == number and e.get("sid")), None)
        for field, word in _OVERRIDES:
            if entry is not None and entry.get(field):
                raise DriverError(
                    "RoutedElsewhere",
                    f"lever {self._name}: {number} follows {word}={entry[field]}, which overrides its own addresses; "
                    f"clear {word} to have it moved here, or take the number out of the lever",
                    retryable=False,
                )
        return entry

    def _check(self, number: str) -> None:
        if number not in self._numbers:
            raise DriverError(
                "NotOurs",
                f"lever {self._name}: the policy does not name {number}, so it is left alone",
                retryable=False,
            )


def _pointer(entry: Mapping[str, Any]) -> Pointer:
    return Pointer(
        name=str(entry["phone_number"]),
        voice_url=shown(entry.get("voice_url"), entry.get("voice_method")),
        fallback_url=shown(entry.get("voice_fallback_url"), entry.get("voice_fallback_method")),
    )

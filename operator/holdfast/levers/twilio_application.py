"""Twilio TwiML applications: one per agent, found by its friendly name, which is our mark.

A write to an application moves every number assigned to it, so it is the cheapest lever Twilio has. There is no
idempotency key and no unique name: creation always lists first, and a creation whose answer was lost is looked for once
more, after a pause, before another is made.
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from typing import Any

from holdfast.core.values import Budget
from holdfast.levers.base import DriverError, Pointer
from holdfast.levers.twilio_api import NAME_MAX, TwilioApi, shown

PRODUCT = "api"
SETTLE_S = 5.0


class TwilioApplications:
    """The applications of one zone in one half of a carrier account: those whose name begins with `mark`."""

    def __init__(self, *, name: str, mark: str, api: TwilioApi) -> None:
        self._name = name
        self._mark = mark
        self._api = api
        self._made: dict[str, str] = {}
        self._unsure: set[str] = set()

    @property
    def name(self) -> str:
        """The carrier account's name in its policy."""
        return self._name

    def budget(self) -> Budget:
        """The requests left to everything of this half of the account."""
        return self._api.budget()

    async def list(self) -> Mapping[str, Pointer]:
        """All of the zone, 1000 to a request."""
        entries = await self._api.pages(PRODUCT, self._api.path("Applications"), "applications")
        names = {str(entry.get("friendly_name")) for entry in entries}
        ours = {name: _oldest(entries, name) for name in names if name.startswith(self._mark)}
        return {name: _pointer(entry) for name, entry in ours.items() if entry is not None}

    async def read(self, name: str) -> Pointer | None:
        """The application of this name."""
        found = await self._find(name, urgent=False)
        return None if found is None else _pointer(found)

    async def apply(self, pointer: Pointer) -> None:
        """Make it so, by creation if there is none; equal already is one read and no write."""
        found = await self._find(pointer.name, urgent=True)
        if found is None:
            await self._create(pointer)
        elif _pointer(found) != pointer:
            sid = str(found["sid"])
            await self._api.call("POST", PRODUCT, self._api.path(f"Applications/{sid}"), form=_form(pointer))

    async def remove(self, name: str) -> bool:
        """Delete the application of this name; False when there was none."""
        found = await self._find(name, urgent=False)
        if found is None:
            return False
        await self._api.call("DELETE", PRODUCT, self._api.path(f"Applications/{found['sid']}"))
        self._made.pop(name, None)
        return True

    async def _create(self, pointer: Pointer) -> None:
        if pointer.name in self._unsure:
            self._unsure.discard(pointer.name)
            raise DriverError(
                "CreationUnsure",
                f"carrier {self._name}: whether application {pointer.name!r} was made is not known; looking once more",
                retryable=True,
                retry_after_s=SETTLE_S,
            )
        try:
            made = await self._api.call("POST", PRODUCT, self._api.path("Applications"), form=_form(pointer))
        except DriverError as e:
            if e.outcome_unknown:
                self._unsure.add(pointer.name)
            raise
        self._made[pointer.name] = str(made.get("sid") or "")

    async def _find(self, name: str, *, urgent: bool) -> Mapping[str, Any] | None:
        """The entry of this name; one we made and a stale list does not show yet is asked for by its handle."""
        self._check(name)
        found = _oldest(
            await self._api.pages(
                PRODUCT, self._api.path("Applications"), "applications", params={"FriendlyName": name}, urgent=urgent
            ),
            name,
        )
        if found is not None:
            self._unsure.discard(name)
            return found
        sid = self._made.get(name)
        if not sid:
            return None
        try:
            return await self._api.call("GET", PRODUCT, self._api.path(f"Applications/{sid}"), urgent=urgent)
        except DriverError as e:
            if e.code != "NoOrigin":
                raise
            del self._made[name]
            return None

    def _check(self, name: str) -> None:
        if not name.startswith(self._mark):
            raise DriverError(
                "NotOurs",
                f"carrier {self._name}: application {name!r} lacks our mark {self._mark!r} and is left alone",
                retryable=False,
            )
        if len(name) > NAME_MAX:
            raise DriverError(
                "NameTooLong",
                f"carrier {self._name}: application {name!r} has {len(name)} characters, Twilio takes {NAME_MAX}; "
                "shorten the namespace or the name of the agent",
                retryable=False,
            )


def _oldest(entries: list[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    """Of two of one name the same one is always used, whatever order they are listed in; the other is left alone."""
    return min((e for e in entries if e.get("friendly_name") == name and e.get("sid")), key=_age, default=None)


def _age(entry: Mapping[str, Any]) -> tuple[float, str]:
    try:
        made = email.utils.parsedate_to_datetime(str(entry.get("date_created"))).timestamp()
    except ValueError:
        made = float("inf")
    return made, str(entry["sid"])


def _pointer(entry: Mapping[str, Any]) -> Pointer:
    return Pointer(
        name=str(entry.get("friendly_name") or ""),
        voice_url=shown(entry.get("voice_url"), entry.get("voice_method")),
        fallback_url=shown(entry.get("voice_fallback_url"), entry.get("voice_fallback_method")),
    )


def _form(pointer: Pointer) -> dict[str, str]:
    return {
        "FriendlyName": pointer.name,
        "VoiceUrl": pointer.voice_url,
        "VoiceMethod": "POST",
        "VoiceFallbackUrl": pointer.fallback_url,
        "VoiceFallbackMethod": "POST",
    }

"""Telnyx numbers: each is given to one connection, and is moved by giving it to another.

A number at Telnyx has no address of its own: its connection has. So what a number points to is what its application
says, and to point it elsewhere is to give it to the application of ours that says so. That keeps the shape of every
lever that points, lets one write move one number, and never changes an application that other numbers share.

A number is ours when its tags hold `holdfast:<zone>`, which its owner sets once. Nothing is made here, so nothing is
removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.core.values import Budget
from holdfast.levers.base import DriverError, Pointer
from holdfast.levers.telnyx_api import TelnyxApi
from holdfast.levers.telnyx_applications import Found, TelnyxApplications

_QUERY = {"handle_messaging_profile_error": "true"}
"""Without it a fault of Telnyx's messaging side fails the listing of numbers that are only called."""


class TelnyxNumbers:
    """The numbers of one zone in one account, and the applications they may be given to."""

    def __init__(self, *, name: str, zone: str, api: TelnyxApi, applications: TelnyxApplications) -> None:
        self._name = name
        self._tag = f"holdfast:{zone}"
        self._api = api
        self._applications = applications

    @property
    def name(self) -> str:
        """The lever's name in its policy."""
        return self._name

    def budget(self) -> Budget | None:
        """What Telnyx last told of its limits; None before it has."""
        return self._api.budget()

    async def list(self) -> Mapping[str, Pointer]:
        """Every number of ours and where it leads."""
        applications = await self._by_id(urgent=False)
        held = await self._api.pages("/phone_numbers", params={**_QUERY, "filter[tag]": self._tag})
        return {str(one["phone_number"]): _pointer(one, applications) for one in held if self._is_ours(one)}

    async def read(self, name: str) -> Pointer | None:
        """Where one number of ours leads; None when the account has none of this name with our mark."""
        held = await self._number(name, urgent=False)
        if held is None or not self._is_ours(held):
            return None
        return _pointer(held, await self._by_id(urgent=False))

    async def apply(self, pointer: Pointer) -> None:
        """Give the number to the application with these addresses; nothing when it has been."""
        held = await self._number(pointer.name, urgent=True)
        if held is None:
            message = f"{self._api.who}: the account has no number {pointer.name}"
            raise DriverError("NoOrigin", message, retryable=False)
        if not self._is_ours(held):
            message = f'{self._api.who}: number {pointer.name} lacks our mark; add "{self._tag}" to its tags'
            raise DriverError("NotOurs", message, retryable=False)
        applications = await self._by_id(urgent=True)
        if _pointer(held, applications) == pointer:
            return
        wanted = (pointer.voice_url, pointer.fallback_url)
        fit = [
            each.id
            for each in applications.values()
            if (each.pointer.voice_url, each.pointer.fallback_url) == wanted
        ]
        if not fit:
            message = (
                f"{self._api.who}: number {pointer.name} cannot be moved: no application of ours has the address "
                f"{pointer.voice_url} with the fallback {pointer.fallback_url}"
            )
            raise DriverError("NoApplication", message, retryable=True)
        await self._api.write("PATCH", f"/phone_numbers/{held['id']}", {"connection_id": fit[0]})

    async def remove(self, name: str) -> bool:  # noqa: ARG002  a number is bought, not made by us
        """Nothing: a number that we only moved stays where it is."""
        return False

    async def _number(self, name: str, *, urgent: bool) -> Mapping[str, Any] | None:
        # The filter takes digits only, and matches part of a number.
        query = {**_QUERY, "filter[phone_number]": name.removeprefix("+")}
        listed = await self._api.pages("/phone_numbers", params=query, urgent=urgent)
        return next((one for one in listed if one.get("phone_number") == name and one.get("id")), None)

    async def _by_id(self, *, urgent: bool) -> Mapping[str, Found]:
        found = await self._applications.found(urgent=urgent)
        return {each.id: each for each in found.values()}

    def _is_ours(self, held: Mapping[str, Any]) -> bool:
        tags = held.get("tags")
        return isinstance(tags, list) and self._tag in tags


def _pointer(held: Mapping[str, Any], applications: Mapping[str, Found]) -> Pointer:
    """A connection that is none of our applications is named instead of an address, so that it never looks right."""
    connection = str(held.get("connection_id") or "")
    found = applications.get(connection)
    if found is None:
        return Pointer(str(held["phone_number"]), f"connection:{connection}", "")
    return Pointer(str(held["phone_number"]), found.pointer.voice_url, found.pointer.fallback_url)

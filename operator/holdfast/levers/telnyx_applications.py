"""Telnyx applications: one per agent, found by its name, which is our mark; every number given to it follows.

Telnyx has two sorts with the same two addresses under other names: Call Control (events as JSON) and TeXML (documents).
A PATCH demands the name and the first address each time, so both are always sent; what else an application has is left
as it is. There is no unique name and no idempotency key, so creation always lists first, and a creation whose answer
was lost is found by the next listing: of two of one name the older one is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from holdfast.core.values import Budget
from holdfast.levers.base import DriverError, Pointer
from holdfast.levers.telnyx_api import TelnyxApi

Sort = Literal["callControl", "texml"]


@dataclass(frozen=True, slots=True)
class Fields:
    """How one sort of application calls what we keep of it."""

    path: str
    name: str
    name_filter: str
    voice_url: str
    fallback_url: str


FIELDS: Mapping[Sort, Fields] = {
    "callControl": Fields(
        path="/call_control_applications",
        name="application_name",
        name_filter="filter[application_name][contains]",
        voice_url="webhook_event_url",
        fallback_url="webhook_event_failover_url",
    ),
    "texml": Fields(
        path="/texml_applications",
        name="friendly_name",
        name_filter="filter[friendly_name]",
        voice_url="voice_url",
        fallback_url="voice_fallback_url",
    ),
}


@dataclass(frozen=True, slots=True)
class Found:
    """An application of ours and the handle to change it by. `timeout_s`: how long Telnyx waits for the address."""

    id: str
    pointer: Pointer
    timeout_s: int | None


class TelnyxApplications:
    """The applications of one zone in one account. `webhook_timeout_s` is kept on the Call Control sort."""

    def __init__(
        self, *, name: str, zone: str, sort: Sort, api: TelnyxApi, webhook_timeout_s: int | None = 3
    ) -> None:
        self._name = name
        self._mark = mark_of(zone)
        self._fields = FIELDS[sort]
        self._api = api
        self._timeout_s = webhook_timeout_s if sort == "callControl" else None

    @property
    def name(self) -> str:
        """The carrier account's name in its policy."""
        return self._name

    def budget(self) -> Budget | None:
        """What Telnyx last told of its limits; None before it has."""
        return self._api.budget()

    async def list(self) -> Mapping[str, Pointer]:
        """Everything of ours, by name."""
        return {name: found.pointer for name, found in (await self.found()).items()}

    async def read(self, name: str) -> Pointer | None:
        """One of ours; None when there is none of this name."""
        one = (await self._named(name, urgent=False)).get(name)
        return None if one is None else one.pointer

    async def apply(self, pointer: Pointer) -> None:
        """One write, after the read that finds whether it is there; none when it is so already."""
        self._ours(pointer.name)
        one = (await self._named(pointer.name, urgent=True)).get(pointer.name)
        if one is not None and one.pointer == pointer and one.timeout_s == self._timeout_s:
            return
        method, path = ("POST", self._fields.path) if one is None else ("PATCH", f"{self._fields.path}/{one.id}")
        await self._api.write(method, path, self._body(pointer))

    async def remove(self, name: str) -> bool:
        """Delete the application of this name; False when there was none."""
        self._ours(name)
        one = (await self._named(name, urgent=True)).get(name)
        if one is None:
            return False
        await self._api.write("DELETE", f"{self._fields.path}/{one.id}")
        return True

    async def found(self, *, urgent: bool = False) -> Mapping[str, Found]:
        """Everything of ours with its handle, by name."""
        return await self._named(self._mark, urgent=urgent)

    async def _named(self, text: str, *, urgent: bool) -> Mapping[str, Found]:
        # Oldest first; Telnyx matches anywhere in a name and without regard to case, so what is ours is decided here.
        query = {self._fields.name_filter: text, "sort": "created_at"}
        found: dict[str, Found] = {}
        for held in await self._api.pages(self._fields.path, params=query, urgent=urgent):
            name = str(held.get(self._fields.name) or "")
            if name.startswith(self._mark) and held.get("id"):
                found.setdefault(name, self._read(name, held))
        return found

    def _read(self, name: str, held: Mapping[str, Any]) -> Found:
        pointer = Pointer(
            name=name,
            voice_url=str(held.get(self._fields.voice_url) or ""),
            fallback_url=str(held.get(self._fields.fallback_url) or ""),
        )
        timeout = held.get("webhook_timeout_secs")
        return Found(str(held["id"]), pointer, timeout if isinstance(timeout, int) else None)

    def _body(self, pointer: Pointer) -> Mapping[str, Any]:
        body: dict[str, Any] = {
            self._fields.name: pointer.name,
            self._fields.voice_url: pointer.voice_url,
            self._fields.fallback_url: pointer.fallback_url,
        }
        if self._timeout_s is not None:
            body["webhook_timeout_secs"] = self._timeout_s
        return body

    def _ours(self, name: str) -> None:
        if not name.startswith(self._mark):
            message = f'{self._api.who}: application "{name}" lacks our mark; its name must begin with "{self._mark}"'
            raise DriverError("NotOurs", message, retryable=False)


def mark_of(zone: str) -> str:
    """How the names of a zone's applications begin."""
    return f"holdfast {zone}/"

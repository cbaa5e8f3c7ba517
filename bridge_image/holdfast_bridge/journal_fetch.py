"""Asking the zone's other regions what they know of a call, all at once and within a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import aiohttp
import msgspec

from holdfast_bridge import http_out
from holdfast_bridge.core import journal, journal_wire, token
from holdfast_bridge.core.journal import CallRecord


class ZoneFetch:
    """`url` maps a region to the address of its fetch, None for a region that must not be asked."""

    def __init__(self, *, url: Callable[[str], str | None], path: str, key: Callable[[], bytes]) -> None:
        self._url = url
        self._path = path
        self._key = key

    async def newest(self, call: str, regions: Iterable[str], *, timeout_s: float) -> CallRecord | None:
        """The newest record among the answers that came in time; a region that does not answer is as good as empty."""
        urls = [url for region in regions if (url := self._url(region)) is not None]
        if not urls:
            return None
        found: list[CallRecord | None] = []

        async def ask(http: aiohttp.ClientSession, url: str) -> None:
            found.append(await self._ask(http, url, call))

        try:
            async with asyncio.timeout(timeout_s), aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
                for url in urls:
                    group.create_task(ask(http, url))
        except TimeoutError:
            pass  # whoever answered in time has been heard
        return journal.newest(found)

    async def _ask(self, http: aiohttp.ClientSession, url: str, call: str) -> CallRecord | None:
        headers = {"Authorization": token.authorization("POST", self._path, key=self._key(), now=time.time())}
        body = journal_wire.encode(journal_wire.Wanted(call=call))
        try:
            async with http.post(url, data=body, headers=headers) as response:
                if response.status != 200:
                    return None
                data = await http_out.whole(response, journal_wire.MAX_MESSAGE_BYTES)
            record = msgspec.json.decode(data, type=journal_wire.Found).record
        except (aiohttp.ClientError, OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return record if record is not None and record.call == call else None

"""The carrier's REST API, as far as a bridge needs it: hang a call up, or have it fetch another document.

Both set a state, so a repeated request does no harm and each is tried twice. A call that the carrier no longer knows,
or that is over, needs neither: that is success. The canary has no carrier, so nothing is asked.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

import aiohttp
import msgspec

from holdfast_bridge.errors import CarrierError
from holdfast_bridge.settings import Settings

DEADLINE_S = 2.0
TRIES = 2
PAUSE_S = 0.2
MAX_BODY = 64 * 1024
OVER_CODES = frozenset({20404, 21220})
"""Twilio: the call is not found; the call is not in progress."""

log = logging.getLogger(__name__)


class _Problem(msgspec.Struct):
    code: int | None = None


class TwilioRest:
    """Implements `seams.CarrierPort`."""

    def __init__(self, http: aiohttp.ClientSession, settings: Callable[[], Settings]) -> None:
        self._http = http
        self._settings = settings

    async def hang_up(self, call: str) -> None:
        """End the call. A failure is logged, not raised: the recorded end makes `next` hang up what is left."""
        try:
            await self._update(call, {"Status": "completed"})
        except CarrierError as error:
            log.warning("hang-up failed", extra={"status": error.status})

    async def redirect(self, call: str, url: str) -> None:
        await self._update(call, {"Url": url, "Method": "POST"})

    async def _update(self, call: str, fields: dict[str, str]) -> None:
        settings = self._settings()
        carrier = settings.agent.carrier
        if carrier.kind == "canary":
            return
        if not settings.fleet.carrier_api_key:
            raise CarrierError("no REST key for the carrier is mounted")
        url = f"{carrier.api_url.rstrip('/')}/2010-04-01/Accounts/{carrier.account_sid}/Calls/{call}.json"
        auth = aiohttp.encode_basic_auth(settings.fleet.carrier_api_key, settings.fleet.carrier_api_secret)
        for attempt in range(TRIES):
            last = attempt == TRIES - 1
            try:
                if await self._post(url, fields, auth, final=last):
                    return
            except (aiohttp.ClientError, OSError) as error:
                if last:
                    raise CarrierError(f"the carrier did not answer ({type(error).__name__})") from error
            await asyncio.sleep(PAUSE_S * random.uniform(0.5, 1.5))  # noqa: S311  jitter, not a secret

    async def _post(self, url: str, fields: dict[str, str], auth: str, *, final: bool) -> bool:
        """True when done, False when it is worth another try; raises CarrierError when it is not."""
        async with asyncio.timeout(DEADLINE_S):
            headers = {"Authorization": auth}
            async with self._http.post(url, data=fields, headers=headers, allow_redirects=False) as response:
                if response.status < 300:
                    return True
                code = _code(await response.content.read(MAX_BODY))
                if response.status == 404 or code in OVER_CODES:
                    return True
                if not final and (response.status == 429 or response.status >= 500):
                    return False
                raise CarrierError(f"the carrier refused (code {code})", status=response.status)


def _code(body: bytes) -> int | None:
    try:
        return msgspec.json.decode(body, type=_Problem).code
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None

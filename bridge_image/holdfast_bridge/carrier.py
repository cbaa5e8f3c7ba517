"""The carrier's REST API, as far as a bridge needs it: hang a call up, or have it fetch another document.

Both set a state, so a repeated request does no harm and each is tried twice. A call that the carrier no longer knows,
or that is over, needs neither: that is success. The canary has no carrier, so nothing is asked.
A push is asked once and its outcome told, because who rescues many calls paces them by what the carrier says.
How the API behaved is told to `on_result`: live calls meet it before any probe does.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from enum import Enum

import aiohttp
import msgspec

from holdfast_bridge import http_out
from holdfast_bridge.core.rescue import Answer, Said
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


class CarrierFailure(Enum):
    """How the API failed: the words of the report to the operator. What concerns one call or our key is no failure."""

    ERROR = "5xx"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"


OnResult = Callable[[str, CarrierFailure | None], None]


class TwilioRest:
    """Implements `seams.CarrierPort` and `seams.PushPort`. `on_result`: told the carrier's name, and None when well."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        settings: Callable[[], Settings],
        *,
        on_result: OnResult = lambda _carrier, _failure: None,
    ) -> None:
        self._http = http
        self._settings = settings
        self._on_result = on_result

    async def hang_up(self, call: str) -> None:
        """End the call. A failure is logged, not raised: the recorded end makes `next` hang up what is left."""
        try:
            await self._update(call, {"Status": "completed"})
        except CarrierError as error:
            log.warning("hang-up failed", extra={"status": error.status})

    async def redirect(self, call: str, url: str) -> None:
        await self._update(call, {"Url": url, "Method": "POST"})

    async def push(self, call: str, url: str) -> Answer:
        """One attempt, once; a repeat after an unknown outcome is the same attempt again, so it is safe."""
        settings = self._settings()
        carrier = settings.agent.carrier
        if carrier.kind == "canary" or not settings.fleet.carrier_api_key:
            return Answer(Said.REFUSED)
        try:
            status, code, retry_after = await self._ask(settings, call, {"Url": url, "Method": "POST"})
        except (aiohttp.ClientError, OSError) as error:
            log.info("push not answered", extra={"error": type(error).__name__})
            return Answer(Said.UNKNOWN)
        if status < 300:
            return Answer(Said.MOVED)
        if status == 404 or code in OVER_CODES:
            return Answer(Said.OVER)
        if status == 429:
            return Answer(Said.BUSY, retry_after_s=retry_after)
        if status >= 500:
            return Answer(Said.UNKNOWN)
        log.warning("push refused by the carrier", extra={"status": status, "code": code})
        return Answer(Said.REFUSED)

    async def _update(self, call: str, fields: dict[str, str]) -> None:
        settings = self._settings()
        carrier = settings.agent.carrier
        if carrier.kind == "canary":
            return
        if not settings.fleet.carrier_api_key:
            raise CarrierError("no REST key for the carrier is mounted")
        for attempt in range(TRIES):
            last = attempt == TRIES - 1
            try:
                status, code, _ = await self._ask(settings, call, fields)
            except (aiohttp.ClientError, OSError) as error:
                if last:
                    raise CarrierError(f"the carrier did not answer ({type(error).__name__})") from error
            else:
                if status < 300 or status == 404 or code in OVER_CODES:
                    return
                if last or not (status == 429 or status >= 500):
                    raise CarrierError(f"the carrier refused (code {code})", status=status)
            await asyncio.sleep(PAUSE_S * random.uniform(0.5, 1.5))  # noqa: S311  jitter, not a secret

    async def _ask(
        self, settings: Settings, call: str, fields: dict[str, str]
    ) -> tuple[int, int | None, float | None]:
        """One POST: its status, the carrier's own code, and how long it asks us to wait. TimeoutError is an OSError."""
        carrier = settings.agent.carrier.name
        try:
            answer = await self._post(settings, call, fields)
        except TimeoutError:
            self._on_result(carrier, CarrierFailure.TIMEOUT)
            raise
        except (aiohttp.ClientError, OSError):
            self._on_result(carrier, CarrierFailure.UNREACHABLE)
            raise
        self._on_result(carrier, CarrierFailure.ERROR if answer[0] >= 500 else None)
        return answer

    async def _post(
        self, settings: Settings, call: str, fields: dict[str, str]
    ) -> tuple[int, int | None, float | None]:
        carrier = settings.agent.carrier
        url = f"{carrier.api_url.rstrip('/')}/2010-04-01/Accounts/{carrier.account_sid}/Calls/{call}.json"
        auth = aiohttp.encode_basic_auth(settings.fleet.carrier_api_key, settings.fleet.carrier_api_secret)
        headers = {"Authorization": auth}
        async with asyncio.timeout(DEADLINE_S):
            async with self._http.post(url, data=fields, headers=headers, allow_redirects=False) as response:
                body = b"" if response.status < 300 else await http_out.whole(response, MAX_BODY)
                after = response.headers.get("Retry-After", "")
                return response.status, _code(body), float(after) if after.isdecimal() else None


def _code(body: bytes) -> int | None:
    try:
        return msgspec.json.decode(body, type=_Problem).code
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None

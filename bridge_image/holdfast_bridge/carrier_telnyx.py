"""Telnyx's call commands, as far as a bridge needs them: hang a call up, or stream it somewhere else.

Telnyx does not ask a document as Twilio does: a stream is stopped and another is started. Every command carries a
`command_id` made of the call, the owner epoch and the verb, so that Telnyx ignores a repeat within a minute; what is
tried again after a lost answer is therefore the same command, not a second one.

A call that is over is told as 404, or as 422 with a code of its own. Any other 422 is a refusal, not an end.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from holdfast_bridge import http_out
from holdfast_bridge.core.rescue import Answer, Said
from holdfast_bridge.seams import StreamOrder
from holdfast_bridge.settings import Settings

DEADLINE_S = 2.0
MAX_BODY = 64 * 1024
OVER_CODES = frozenset({"90018"})
"""Telnyx: the call has already ended."""

log = logging.getLogger(__name__)


class _Error(msgspec.Struct):
    code: str = ""


class _Problem(msgspec.Struct):
    errors: list[_Error] = []


class TelnyxRest:
    """Implements `seams.StreamPort`, and the hang-up of `seams.CarrierPort`."""

    def __init__(self, http: aiohttp.ClientSession, settings: Callable[[], Settings]) -> None:
        self._http = http
        self._settings = settings

    async def hang_up(self, call: str) -> None:
        """End the call. A failure is logged, not raised: the recorded end keeps the call from being taken up again."""
        for _ in range(2):
            answer = await self._command(call, "hangup", {"command_id": command_id(call, 0, "hangup")})
            if answer.said in (Said.MOVED, Said.OVER):
                return
            if answer.said is Said.REFUSED:
                break
        log.warning("hang-up failed", extra={"said": answer.said.value})

    async def restream(self, call: str, order: StreamOrder) -> Answer:
        """Stop every stream of the call, then start the one ordered.

        The old stream's socket may hang for long in a region that is gone, so Telnyx may still count it as running.
        A stop that is refused is not the end of it: there may have been nothing left to stop.
        """
        stopped = await self._command(
            call, "streaming_stop", {"command_id": command_id(call, order.epoch, "streaming_stop")}
        )
        if stopped.said not in (Said.MOVED, Said.REFUSED):
            return stopped
        return await self._command(
            call,
            "streaming_start",
            {
                "command_id": command_id(call, order.epoch, "streaming_start"),
                "stream_url": order.url,
                "stream_track": "inbound_track",
                "stream_bidirectional_mode": "rtp",
                "stream_bidirectional_codec": "PCMU",
                "stream_auth_token": order.token,
                "custom_parameters": [{"name": "token", "value": order.token}],
            },
        )

    async def _command(self, call: str, name: str, body: Mapping[str, Any]) -> Answer:
        """One command: MOVED when it was taken."""
        settings = self._settings()
        if not settings.fleet.carrier_api_key:
            return Answer(Said.REFUSED)
        base = settings.agent.carrier.api_url.rstrip("/").removesuffix("/v2")
        url = f"{base}/v2/calls/{quote(call, safe='')}/actions/{name}"
        headers = {"Authorization": f"Bearer {settings.fleet.carrier_api_key}"}
        try:
            async with (
                asyncio.timeout(DEADLINE_S),
                self._http.post(url, json=body, headers=headers, allow_redirects=False) as response,
            ):
                data = b"" if response.status < 300 else await http_out.whole(response, MAX_BODY)
                status, told = response.status, response.headers.get("x-ratelimit-reset", "")
        except (aiohttp.ClientError, OSError) as error:
            log.info("command not answered", extra={"command": name, "error": type(error).__name__})
            return Answer(Said.UNKNOWN)
        return _judged(status, _codes(data), float(told) if told.isdecimal() else None)


def command_id(call: str, epoch: int, verb: str) -> str:
    """The same for every repeat of one command, and another for every other."""
    return hashlib.sha256(f"{call}\0{epoch}\0{verb}".encode()).hexdigest()[:36]


def _judged(status: int, codes: frozenset[str], retry_after_s: float | None) -> Answer:
    if status < 300:
        return Answer(Said.MOVED)
    if status == 404 or (status == 422 and codes & OVER_CODES):
        return Answer(Said.OVER)
    if status == 429:
        return Answer(Said.BUSY, retry_after_s=retry_after_s)
    return Answer(Said.UNKNOWN if status >= 500 else Said.REFUSED)


def _codes(body: bytes) -> frozenset[str]:
    try:
        return frozenset(error.code for error in msgspec.json.decode(body, type=_Problem).errors)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return frozenset()

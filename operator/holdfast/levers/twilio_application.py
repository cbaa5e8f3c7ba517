"""Twilio TwiML applications: one per agent, found by its friendly name, which is our mark.

A write to an application moves every number assigned to it. There is no idempotency key and no unique name at Twilio,
so creation always lists first, and a creation whose answer was lost is found by the next listing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from holdfast.levers.base import WRITE_DEADLINE_S, DriverError

RETRY_AFTER_429_S = 1.0


@dataclass(frozen=True, slots=True)
class Application:
    """The fields of an application which we own."""

    friendly_name: str
    voice_url: str
    voice_fallback_url: str


@dataclass(frozen=True, slots=True)
class FoundApplication:
    """An application at Twilio and the handle to change it by."""

    sid: str
    application: Application


class TwilioApplications:
    """The applications of one carrier account."""

    def __init__(
        self,
        *,
        name: str,
        api_url: str,
        account_sid: str,
        credentials: Callable[[], Awaitable[tuple[str, str]]],
        http: httpx.AsyncClient,
    ) -> None:
        self._name = name
        self._url = f"{api_url.rstrip('/')}/2010-04-01/Accounts/{account_sid}/Applications"
        self._credentials = credentials
        self._http = http

    async def find(self, friendly_name: str) -> FoundApplication | None:
        """The application of this name. Two of them are nobody's to repair: the oldest listed one is used."""
        answer = await self._call("GET", f"{self._url}.json", params={"FriendlyName": friendly_name})
        listed = answer.get("applications")
        if not isinstance(listed, list):
            raise DriverError("Malformed", f"carrier {self._name}: no list of applications", retryable=True)
        for entry in listed:
            if entry.get("friendly_name") == friendly_name:
                return FoundApplication(
                    sid=str(entry["sid"]),
                    application=Application(
                        friendly_name=friendly_name,
                        voice_url=str(entry.get("voice_url") or ""),
                        voice_fallback_url=str(entry.get("voice_fallback_url") or ""),
                    ),
                )
        return None

    async def ensure(self, wanted: Application) -> bool:
        """Make it so. True when something had to be written; equal already costs one read and no write."""
        found = await self.find(wanted.friendly_name)
        if found is None:
            await self._call("POST", f"{self._url}.json", form=_form(wanted))
            return True
        if found.application == wanted:
            return False
        await self._call("POST", f"{self._url}/{found.sid}.json", form=_form(wanted))
        return True

    async def remove(self, friendly_name: str) -> bool:
        """Delete the application of this name; False when there was none."""
        found = await self.find(friendly_name)
        if found is None:
            return False
        await self._call("DELETE", f"{self._url}/{found.sid}.json")
        return True

    async def _call(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        writes = method != "GET"
        try:
            async with asyncio.timeout(WRITE_DEADLINE_S):
                auth = await self._credentials()
                answer = await self._http.request(method, url, params=params, data=form, auth=auth)
        except TimeoutError as e:
            raise DriverError(
                "Timeout", f"carrier {self._name}: no answer in 2 s", retryable=True, outcome_unknown=writes
            ) from e
        except httpx.HTTPError as e:
            raise DriverError(
                "Unreachable", f"carrier {self._name}: {type(e).__name__}", retryable=True, outcome_unknown=writes
            ) from e
        return self._result(answer, writes=writes)

    def _result(self, answer: httpx.Response, *, writes: bool) -> Mapping[str, Any]:
        if answer.status_code == httpx.codes.NO_CONTENT:
            return {}
        if answer.is_success:
            try:
                parsed = answer.json()
            except ValueError as e:
                raise DriverError("Malformed", f"carrier {self._name}: not JSON", retryable=True) from e
            return parsed if isinstance(parsed, dict) else {}
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise DriverError(
                "RateLimited", f"carrier {self._name}: 429", retryable=True, retry_after_s=RETRY_AFTER_429_S
            )
        if answer.is_server_error:
            raise DriverError(
                "VendorError", f"carrier {self._name}: {answer.status_code}", retryable=True, outcome_unknown=writes
            )
        code = "Unauthorized" if answer.status_code in {401, 403} else "Refused"
        raise DriverError(code, f"carrier {self._name}: {answer.status_code}", retryable=False)


def _form(wanted: Application) -> dict[str, str]:
    return {
        "FriendlyName": wanted.friendly_name,
        "VoiceUrl": wanted.voice_url,
        "VoiceMethod": "POST",
        "VoiceFallbackUrl": wanted.voice_fallback_url,
        "VoiceFallbackMethod": "POST",
    }

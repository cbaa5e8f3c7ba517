"""How a call comes to a bridge: by the carrier's webhook and its answer, or straight to the socket.

A subject that checks the carrier's signature is shown one, made as the carrier makes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias
from xml.etree import ElementTree as ET

import aiohttp

from holdfast_gameday.bench_bridge.carrier import Stream
from holdfast_gameday.world import twilio_signature

ACCOUNT = "AC" + "0" * 31 + "7"
AUTH_TOKEN = "the-carriers-token"  # noqa: S105 - of the practice range
HOST = "bench.example"

Entry: TypeAlias = Callable[[str], Awaitable[Stream]]


def direct(url: str) -> Entry:
    """`url`: of the subject's socket."""

    async def stream(_: str) -> Stream:
        path = url.partition("://")[2].partition("/")[2]
        return Stream(url, _signed(f"wss://{HOST}/{path}", {}), {})

    return stream


def by_webhook(http: aiohttp.ClientSession, *, control: str, audio: str, path: str) -> Entry:
    """`control`, `audio`: the two ports as host:port. `path`: of the agent."""

    async def stream(call: str) -> Stream:
        form = {"CallSid": call, "AccountSid": ACCOUNT, "From": "+4930100", "To": "+4930200", "CallStatus": "ringing"}
        asked = f"https://{HOST}{path}/voice"
        async with http.post(f"http://{control}{path}/voice", data=form, headers=_signed(asked, form)) as answer:
            answer.raise_for_status()
            said = ET.fromstring(await answer.text())  # noqa: S314 - our own bridge's words
        found = said.find("./Connect/Stream")
        if found is None:
            raise LookupError("the bridge's answer has no stream: it does not want this call")
        parameters = {each.attrib["name"]: each.attrib["value"] for each in found.iter("Parameter")}
        return Stream(f"ws://{audio}{path}/media", _signed(found.attrib["url"], {}), parameters)

    return stream


def _signed(url: str, form: dict[str, str]) -> dict[str, str]:
    told = {"Host": HOST, "X-Forwarded-Proto": "https"}
    return {**told, twilio_signature.HEADER: twilio_signature.sign(url, form, AUTH_TOKEN)}

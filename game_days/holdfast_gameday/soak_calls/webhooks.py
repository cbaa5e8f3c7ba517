"""What the carrier asks a bridge and how it reads the answer, and the carrier's API by which a bridge hangs up.

It follows an answer's verbs no further than a bridge of the soak can say them.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import aiohttp
from aiohttp import web

from holdfast_gameday.bench_bridge.carrier import Stream
from holdfast_gameday.bench_bridge.entries import ACCOUNT, AUTH_TOKEN
from holdfast_gameday.world import twilio_signature

KEPT_OPEN_S = 5.0
"""A connection to the carrier's API: less than the quiet after the last call."""
_WITHIN = aiohttp.ClientTimeout(total=4.0)


@dataclass(frozen=True, slots=True)
class Pod:
    """`control`, `audio`: its two ports as host:port."""

    name: str
    control: str
    audio: str


@dataclass(frozen=True, slots=True)
class Answer:
    """`stream` with the pod that it leads to, or none; `afterwards`: where to ask when it is over; empty: nowhere."""

    pod: Pod | None
    stream: Stream | None
    afterwards: str
    hang_up: bool
    apology: bool
    """The caller is told that nobody can serve him, and that is the end."""
    pause_s: float


class Webhooks:
    """`pods`: by the public name under which each is called."""

    def __init__(self, http: aiohttp.ClientSession, pods: Mapping[str, Pod]) -> None:
        self._http = http
        self._pods = pods

    async def ask(self, url: str, call: str) -> Answer:
        """`url`: as the carrier knows it. LookupError: nobody is called so. Else aiohttp's errors and TimeoutError."""
        form = {"CallSid": call, "AccountSid": ACCOUNT, "From": "+4930100", "To": "+4930200", "CallStatus": "ringing"}
        asked = url.partition("#")[0]
        parts = urlsplit(asked)
        where = f"http://{self._pods[parts.netloc].control}{parts.path}"
        if parts.query:
            where += f"?{parts.query}"
        headers = _signed(asked, form, parts.netloc)
        async with self._http.post(where, data=form, headers=headers, timeout=_WITHIN) as answer:
            answer.raise_for_status()
            return read(await answer.text(), self._pods)


def read(twiml: str, pods: Mapping[str, Pod]) -> Answer:
    """LookupError when a stream leads to a pod that there is not."""
    said = ET.fromstring(twiml)  # noqa: S314 - our own bridge's words
    stream, pod, found = said.find("./Connect/Stream"), None, None
    redirect, pause = said.find("./Redirect"), said.find("./Pause")
    if stream is not None:
        url = urlsplit(stream.attrib["url"])
        pod = pods[url.netloc]
        parameters = {each.attrib["name"]: each.attrib["value"] for each in stream.iter("Parameter")}
        found = Stream(f"ws://{pod.audio}{url.path}", _signed(stream.attrib["url"], {}, url.netloc), parameters)
    return Answer(
        pod=pod,
        stream=found,
        afterwards=(redirect.text or "") if redirect is not None else "",
        hang_up=[each.tag for each in said] == ["Hangup"],
        apology=[each.tag for each in said] == ["Say", "Hangup"],
        pause_s=float(pause.attrib["length"]) if pause is not None else 0.0,
    )


def _signed(url: str, form: dict[str, str], host: str) -> dict[str, str]:
    told = {"Host": host, "X-Forwarded-Proto": "https"}
    return {**told, twilio_signature.HEADER: twilio_signature.sign(url, form, AUTH_TOKEN)}


@contextlib.asynccontextmanager
async def carrier_api(port: int, hang_up: Callable[[str], None]) -> AsyncIterator[None]:
    """`hang_up` is told the call that a bridge ends."""

    async def update(request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("Status") == "completed":
            hang_up(request.match_info["call"])
        return web.json_response({"sid": request.match_info["call"]})

    app = web.Application()
    app.router.add_post("/2010-04-01/Accounts/{account}/Calls/{call}.json", update)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, keepalive_timeout=KEPT_OPEN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()

"""One inbound call at the carrier: fetches TwiML, carries it out verb by verb, obeys the API, and says how it ended.

    ringing ── first TwiML ──▶ in-progress ── Hangup, no verb left, API, caller, or both URLs failing ──▶ completed

A fetch that fails goes to the fallback URL at once; when that fails too the call ends. What the caller says and hears
passes through a `Phone`; this module never looks into the sound.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, assert_never
from urllib.parse import urljoin, urlsplit

from holdfast_gameday.world import twilio_aside, twiml
from holdfast_gameday.world.twilio_net import Network
from holdfast_gameday.world.twilio_state import Account, Application, CallResource
from holdfast_gameday.world.twilio_stream import MediaStream, StreamError, StreamOptions, StreamStart, open_stream
from holdfast_gameday.world.twilio_webhook import Document, Fetcher, FetchFailure

VERBS_MAX = 500
"""A document that redirects to itself for ever is ended here."""

SAY_CHARACTERS_PER_S = 15


class Phone(Protocol):
    """The person at the other end. All times are the event loop's, which is CLOCK_MONOTONIC."""

    def speak(self, now: float) -> bytes | None:
        """The next 20 ms (160 octets of µ-law); None is silence. Asked every 20 ms from the first ring on."""
        ...

    def hear(self, sound: bytes, now: float) -> None:
        """What was played in these 20 ms; empty when nothing was."""
        ...

    def carrier_said(self, text: str, now: float) -> None:
        """The carrier's own voice (`Say`)."""
        ...

    def ended(self, ending: Ending, now: float) -> None: ...


class EndedBy(enum.Enum):
    API = "api"
    """REST `Status=completed`: the agent hung up."""
    HANGUP_VERB = "hangup-verb"
    NO_VERB_LEFT = "no-verb-left"
    CALLER = "caller"
    WEBHOOK_FAILED = "webhook-failed"
    """Neither the URL nor its fallback gave TwiML."""
    TRUNK = "trunk"
    """No entry of the number's trunk took the call, and there is no disaster recovery URL."""
    LOOP = "loop"
    SIMULATOR = "simulator"
    """The practice range was shut down, or broke."""


@dataclass(frozen=True, slots=True)
class Ending:
    by: EndedBy
    detail: str = ""


@dataclass(slots=True)
class Visit:
    """One attempt to open a stream, and what became of it."""

    url: str
    host: str
    dialled_at: float
    opened_at: float | None = None
    first_sound_at: float | None = None
    """When the first octet that this stream brought was played to the caller."""
    closed_at: float | None = None
    close_code: int | None = None
    closed_by_carrier: bool = False
    error: StreamError | None = None


@dataclass(frozen=True, slots=True)
class CallEvent:
    """Something that happened in a call, for its time line."""

    at: float
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where TwiML comes from: a URL to ask, or the document itself, and who is asked when that fails."""

    url: str
    method: str = "POST"
    fallback_url: str = ""
    fallback_method: str = "POST"
    document: str | None = None
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Carriage:
    """What a call is carried with; shared by all calls of a carrier."""

    network: Network
    fetcher: Fetcher
    options: StreamOptions
    clock: Callable[[], float]
    """Unix time, for what the API shows."""
    people: Mapping[str, twilio_aside.Person] = field(default_factory=dict)
    """Who may be rung up, by number."""


@dataclass(slots=True)
class CarrierCall:
    account: Account
    resource: CallResource
    application: Application | None
    phone: Phone
    carriage: Carriage
    first: Target
    visits: list[Visit] = field(default_factory=list)
    events: list[CallEvent] = field(default_factory=list)
    errors: list[StreamError | FetchFailure] = field(default_factory=list)
    ending: Ending | None = None
    refusal: Ending | None = None
    """How the call ends before anything is fetched."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _stream: MediaStream | None = None
    _recording: twilio_aside.Recording | None = None
    _command: Target | Ending | None = None
    _commanded: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def sid(self) -> str:
        return self.resource.sid

    @property
    def host(self) -> str | None:
        """The host whose stream is open now."""
        return self.visits[-1].host if self._stream is not None else None

    # Orders, obeyed at once: the last one given wins, but nothing revives a call that is to end.

    def redirect(self, target: Target) -> None:
        if not isinstance(self._command, Ending):
            self._order(target)

    def complete(self, ending: Ending) -> None:
        if self.ending is None and not isinstance(self._command, Ending):
            self._status("completed")
            self._order(ending)

    def press(self, digit: str) -> None:
        if self._stream is not None:
            self._stream.press(digit)

    def _order(self, command: Target | Ending) -> None:
        self._command = command
        self._commanded.set()

    # Sound, every 20 ms

    def tick(self, now: float) -> None:
        said = self.phone.speak(now)
        stream = self._stream
        if self._recording is not None:
            self._recording.hear(said)
        if stream is None:
            self.phone.hear(b"", now)
            return
        stream.send_sound(said)
        heard = stream.play()
        if heard and self.visits[-1].first_sound_at is None:
            self.visits[-1].first_sound_at = now
        self.phone.hear(heard, now)

    # The life of the call

    async def run(self) -> None:
        """Returns when the call is over; `ending` then says how."""
        ending = Ending(EndedBy.SIMULATOR, "stopped")
        try:
            target: Target | Ending = self.refusal or self.first
            for _ in range(VERBS_MAX):
                if isinstance(target, Ending):
                    ending = target
                    return
                target = await self._until_commanded(target)
            ending = Ending(EndedBy.LOOP, f"more than {VERBS_MAX} documents")
        finally:
            self._close(ending)

    async def _until_commanded(self, target: Target) -> Target | Ending:
        """Carries out a document unless an order comes first; then the stream gets its `stop` and the order is next."""
        work = asyncio.ensure_future(self._carry_out(target))
        order = asyncio.ensure_future(self._commanded.wait())
        try:
            await asyncio.wait((work, order), return_when=asyncio.FIRST_COMPLETED)
            if not self._commanded.is_set():
                return work.result()
        finally:
            order.cancel()
            work.cancel()
            await asyncio.wait((work, order))
            if self._stream is not None:
                self._stream.stop()
                self._left_stream(self._stream)
        command, self._command = self._command, None
        self._commanded.clear()
        assert command is not None
        self._note("order", "end" if isinstance(command, Ending) else "redirect")
        return command

    async def _carry_out(self, target: Target) -> Target | Ending:
        document = await self._document(target)
        if isinstance(document, Ending):
            return document
        base, verbs = document
        if self.resource.status == "ringing":
            self._status("in-progress")
            self.resource.started_at = self.carriage.clock()
        for verb in verbs:
            following = await self._verb(verb, base)
            if following is not None:
                return following
        return Ending(EndedBy.NO_VERB_LEFT)

    async def _verb(self, verb: twiml.Verb, base: str) -> Target | Ending | None:
        """What comes instead of the next verb; None is the next verb."""
        match verb:
            case twiml.Connect():
                outcome = await self._connect(verb.stream)
                if verb.action:
                    return self._asking(urljoin(base, verb.action), verb.method, outcome)
            case twiml.Redirect(url, method):
                self._note("redirect", urlsplit(url).hostname or "")
                return self._asking(urljoin(base, url), method)
            case twiml.Hangup():
                return Ending(EndedBy.HANGUP_VERB)
            case twiml.Say(text):
                self.phone.carrier_said(text, self._now())
                self._note("say", f"{len(text)} characters")
                await asyncio.sleep(max(0.5, len(text) / SAY_CHARACTERS_PER_S))
            case twiml.Play(url):
                self._note("play", urlsplit(url).hostname or "")
                await asyncio.sleep(1)
            case twiml.Pause(seconds):
                await asyncio.sleep(seconds)
            case twiml.Dial():
                outcome = await twilio_aside.ring(self.carriage.people.get(verb.target), verb)
                self._note("dial", dict(outcome)["DialCallStatus"])
                if verb.action:
                    return self._asking(urljoin(base, verb.action), verb.method, outcome)
            case twiml.Record():
                return await self._record(verb, base)
            case _:
                assert_never(verb)
        return None

    async def _record(self, verb: twiml.Record, base: str) -> Target | None:
        self._recording = recording = twilio_aside.Recording(verb)
        try:
            await recording.over.wait()
        finally:
            self._recording = None
        self._note("recorded", f"{recording.spoken_frames} frames")
        told = recording.told()
        return self._asking(urljoin(base, verb.action), verb.method, told) if told else None

    # TwiML

    def _asking(self, url: str, method: str, outcome: tuple[tuple[str, str], ...] = ()) -> Target:
        """A later fetch of the same call: its fallback is the one the number was given."""
        first = self.first
        return Target(url, method, first.fallback_url, first.fallback_method, extra=outcome)

    async def _document(self, target: Target) -> tuple[str, tuple[twiml.Verb, ...]] | Ending:
        if target.document is not None:
            try:
                return "", twiml.parse(target.document)
            except twiml.TwimlError as error:
                return await self._fallback(target, FetchFailure(error.code, "", str(error)))
        answer = await self._fetch(target.url, target.method, dict(target.extra))
        if isinstance(answer, FetchFailure):
            return await self._fallback(target, answer)
        return answer

    async def _fallback(self, target: Target, failure: FetchFailure) -> tuple[str, tuple[twiml.Verb, ...]] | Ending:
        reason = f"{failure.code} {failure.detail}"
        if not target.fallback_url:
            return Ending(EndedBy.WEBHOOK_FAILED, f"{reason}; no fallback URL")
        extra = {"ErrorCode": str(failure.code), "ErrorUrl": failure.url}
        answer = await self._fetch(target.fallback_url, target.fallback_method, extra)
        if isinstance(answer, FetchFailure):
            return Ending(EndedBy.WEBHOOK_FAILED, f"{reason}; fallback {answer.code} {answer.detail}")
        return answer

    async def _fetch(
        self, url: str, method: str, extra: dict[str, str]
    ) -> tuple[str, tuple[twiml.Verb, ...]] | FetchFailure:
        self._note("fetch", urlsplit(url).hostname or "")
        answer = await self.carriage.fetcher.fetch(
            url, self._params() | extra, token=self.account.auth_token, method=method
        )
        if isinstance(answer, Document):
            try:
                return answer.url, twiml.parse(answer.text)
            except twiml.TwimlError as error:
                answer = FetchFailure(error.code, answer.url, str(error))
        self.errors.append(answer)
        self._note("fetch-failed", f"{answer.code} {urlsplit(answer.url).hostname}: {answer.detail}")
        return answer

    def _params(self) -> dict[str, str]:
        call = self.resource
        params = {
            "CallSid": call.sid,
            "AccountSid": call.account_sid,
            "From": call.from_number,
            "To": call.to_number,
            "Caller": call.from_number,
            "Called": call.to_number,
            "CallStatus": call.status,
            "Direction": "inbound",
            "ApiVersion": "2010-04-01",
        }
        if self.application is not None:
            params["ApplicationSid"] = self.application.sid
        return params

    # Streams

    async def _connect(self, noun: twiml.Stream) -> tuple[tuple[str, str], ...]:
        """Returns when the stream is over or could not be opened, with what a `Connect action` is told about it."""
        visit = Visit(noun.url, urlsplit(noun.url).hostname or "", self._now())
        self.visits.append(visit)
        start = StreamStart(
            url=noun.url,
            account_sid=self.account.sid,
            call_sid=self.sid,
            token=self.account.auth_token,
            parameters=dict(noun.parameters),
        )
        stream = await open_stream(
            start, network=self.carriage.network, options=self.carriage.options, report=self._stream_error
        )
        if isinstance(stream, StreamError):
            visit.error, visit.closed_at = stream, self._now()
            self._stream_error(stream)
            return (("StreamError", str(stream.code)),)
        visit.opened_at = self._now()
        self._note("stream-opened", visit.host)
        self._stream = stream
        end = await asyncio.shield(stream.ended)
        visit.close_code, visit.closed_by_carrier = end.code, end.by_us
        self._left_stream(stream)
        return (("StreamSid", stream.sid),)

    def _left_stream(self, stream: MediaStream) -> None:
        visit = self.visits[-1]
        if visit.closed_at is None:
            visit.closed_at = self._now()
            visit.closed_by_carrier = not stream.ended.done() or visit.closed_by_carrier
            self._note("stream-closed", visit.host)
        self._stream = None

    def _stream_error(self, error: StreamError) -> None:
        self.errors.append(error)
        self._note("stream-error", f"{error.code} {error.detail}")

    # The end

    def _close(self, ending: Ending) -> None:
        if self._stream is not None:
            self._stream.abort()
            self._stream = None
        self.ending = ending
        self._status("failed" if self.resource.status == "ringing" else "completed")
        self.resource.ended_at = self.carriage.clock()
        self._note("ended", f"{ending.by.value} {ending.detail}".strip())
        self.phone.ended(ending, self._now())
        self.over.set()

    def _status(self, status: str) -> None:
        self.resource.status = status
        self.resource.updated_at = self.carriage.clock()

    def _note(self, kind: str, detail: str) -> None:
        self.events.append(CallEvent(self._now(), kind, detail))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


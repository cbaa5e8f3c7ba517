"""The simulated Twilio, put together: state, REST API, call engine, and one clock for all sound.

    settings = TwilioSettings(names=HOSTS, trust=tls.client_context(ca), source="172.30.0.101")
    async with TwilioSim(settings).serving("172.30.0.101", 443, ssl_context=…) as twilio:
        account = twilio.state.add_account("AC…", auth_token="…")
        twilio.state.add_number(account, "+49…", voice_application_sid=application.sid)
        call = twilio.place("+49…", to="+49…", phone=phone)
        await call.over.wait()
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from holdfast_gameday.world.connections import ConnectionLog
from holdfast_gameday.world.serve import Address, serving
from holdfast_gameday.world.twilio_aside import Person
from holdfast_gameday.world.twilio_call import CallEvent, Carriage, CarrierCall, EndedBy, Ending, Phone, Target
from holdfast_gameday.world.twilio_faults import Faults
from holdfast_gameday.world.twilio_net import Network
from holdfast_gameday.world.twilio_pacing import Pacer
from holdfast_gameday.world.twilio_rest import TwilioRest
from holdfast_gameday.world.twilio_routing import route
from holdfast_gameday.world.twilio_state import LIVE_STATUSES, CallResource, TwilioState, new_sid
from holdfast_gameday.world.twilio_stream import StreamError, StreamOptions
from holdfast_gameday.world.twilio_webhook import Fetcher

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioSettings:
    names: Mapping[str, str] = field(default_factory=dict)
    """Host name to IP address: the only names that exist for the carrier."""
    trust: ssl.SSLContext | None = None
    source: str | None = None
    """The address webhooks and streams come from."""
    streams: StreamOptions = field(default_factory=StreamOptions)
    people: Mapping[str, Person] = field(default_factory=dict)
    """Whom a `Dial` reaches, by number."""
    concurrency_limit: int | None = None
    """REST requests at a time; more are answered 429."""
    takes_sip: Callable[[str], bool] = lambda _sip_url: True
    """Whether an address takes a call that a trunk sends it."""
    seed: int = 0
    """Of the draw among a trunk's entries of equal priority."""


class TwilioSim:
    """Place calls only inside `serving`."""

    def __init__(self, settings: TwilioSettings, *, log: ConnectionLog | None = None) -> None:
        self.state = TwilioState(time.time)
        self.faults = Faults()
        self.pacer = Pacer()
        self.calls: dict[str, CarrierCall] = {}
        """Every call ever placed, by CallSid."""
        self.address: Address | None = None
        self._settings = settings
        self._draw = random.Random(settings.seed)  # noqa: S311 - a share of calls is drawn, not a secret
        self._log = log
        self._network = Network(names=settings.names, source=settings.source, trust=settings.trust, log=log)
        self._tasks: asyncio.TaskGroup | None = None
        self._carriage: Carriage | None = None

    @contextlib.asynccontextmanager
    async def serving(
        self, host: str, port: int, *, ssl_context: ssl.SSLContext | None = None
    ) -> AsyncIterator[TwilioSim]:
        rest = TwilioRest(self.state, self, self.faults, self._log, self._settings.concurrency_limit)
        async with self._network.http_session() as session, serving(
            rest.application(), host, port, ssl_context=ssl_context
        ) as self.address:
            self._carriage = Carriage(
                network=self._network,
                fetcher=Fetcher(self._network, session),
                options=self._settings.streams,
                clock=self.state.clock,
                people=self._settings.people,
            )
            async with asyncio.TaskGroup() as self._tasks:
                pacing = self._tasks.create_task(self.pacer.run())
                try:
                    yield self
                finally:
                    pacing.cancel()
                    await self._hang_up_all()

    def live(self) -> list[CarrierCall]:
        return [call for call in self.calls.values() if call.resource.status in LIVE_STATUSES]

    def place(self, from_number: str, *, to: str, phone: Phone) -> CarrierCall:
        """A call comes in for one of our numbers; it rings at once."""
        if self._tasks is None or self._carriage is None:
            raise RuntimeError("calls are placed inside `serving`")
        account, number = self.state.find_number(to)
        now = self.state.clock()
        resource = CallResource(new_sid("CA"), account.sid, from_number, to, number.sid, now, now)
        routed = route(account, number, takes=self._settings.takes_sip, draw=self._draw)
        call = CarrierCall(
            account=account,
            resource=resource,
            application=routed.application,
            phone=phone,
            carriage=self._carriage,
            first=routed.first,
            errors=[StreamError(code, detail) for code, detail in routed.errors],
            refusal=routed.refusal,
        )
        if routed.sip_url:
            call.events.append(CallEvent(asyncio.get_running_loop().time(), "sip", routed.sip_url))
        account.calls[resource.sid] = resource
        self.calls[resource.sid] = call
        self._tasks.create_task(self._carry(call))
        return call

    async def _carry(self, call: CarrierCall) -> None:
        self.pacer.add(call.tick)
        try:
            await call.run()
        except Exception:
            # One broken call must not end the others; it counts as lost, by the simulator's fault.
            _log.exception("the simulator broke a call")
        finally:
            self.pacer.remove(call.tick)

    async def _hang_up_all(self) -> None:
        left = self.live()
        for call in left:
            call.complete(Ending(EndedBy.SIMULATOR, "the practice range was shut down"))
        for call in left:
            await call.over.wait()

    # What the REST API asks of live calls

    def redirect(self, call_sid: str, url: str, *, method: str, fallback_url: str) -> None:
        call = self.calls[call_sid]
        first = call.first
        fallback, fallback_method = (
            (fallback_url, "POST") if fallback_url else (first.fallback_url, first.fallback_method)
        )
        call.redirect(Target(url, method, fallback, fallback_method))

    def replace_twiml(self, call_sid: str, twiml: str) -> None:
        call = self.calls[call_sid]
        call.redirect(Target("", "POST", call.first.fallback_url, call.first.fallback_method, document=twiml))

    def complete(self, call_sid: str) -> None:
        self.calls[call_sid].complete(Ending(EndedBy.API))

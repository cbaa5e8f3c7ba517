"""The control port: the carrier's webhooks, the journals of other regions, and what Kubernetes and Prometheus ask.

It checks who is asking and translates; what the carrier is told is decided in `core.answer`, and who owns a call in the
journal's compare-and-set. A request that cannot be proved is answered without looking at the call.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from holdfast_bridge.core import answer, choice, escalation, journal, journal_wire, signature, token
from holdfast_bridge.core.answer import Apology, Asked, Greet, Hangup, Here, Question, Resume, Wait
from holdfast_bridge.core.directive import Directive
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.health import Health
from holdfast_bridge.journal import Journal
from holdfast_bridge.journal_desk import JournalDesk
from holdfast_bridge.settings import Settings
from holdfast_bridge.telemetry import Metrics

MAX_BODY = 64 * 1024
BODY_WITHIN_S = 5.0
CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
HOP = re.compile(r"[0-9]{1,2}")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the port reads and calls; built once in `main`."""

    settings: Callable[[], Settings]
    directive: Callable[[], Directive]
    unreachable: Callable[[], frozenset[str]]
    journal: Journal
    desk: JournalDesk
    health: Health
    metrics: Metrics
    exposition: Callable[[], bytes]
    clock: Callable[[], float] = time.time


class ControlPort:
    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._unready: tuple[str, ...] = ()
        """Why the pod was not ready when it was last asked, without figures."""

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY)
        path = self._around.settings().agent.path
        for asked in Asked:
            app.router.add_route("GET", f"{path}/{asked.value}", self._webhook(asked), name=asked.value)
            app.router.add_route("POST", f"{path}/{asked.value}", self._webhook(asked))
        app.router.add_get(f"{path}/journal", self._journal)
        app.router.add_post(f"{path}/journal/fetch", self._fetch)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        return app

    def _webhook(self, asked: Asked) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handler(request: web.Request) -> web.StreamResponse:
            form = await _form(request)
            if form is None:
                self._around.metrics.refused("webhook_malformed")
                return web.Response(status=400, text="no form that can be read\n")
            if not self._signed(request, form):
                self._around.metrics.refused("webhook_signature")
                return web.Response(status=403, text="not signed by the carrier\n")
            question = self._question(asked, request, form)
            if question is None:
                self._around.metrics.refused("webhook_malformed")
                return web.Response(status=400, text="no such call id or hop\n")
            return web.Response(text=await self._answer(question), content_type="text/xml")

        return handler

    def _signed(self, request: web.Request, form: Mapping[str, Sequence[str]]) -> bool:
        """By the carrier, over the public URL; the fragment of that URL never leaves the carrier."""
        settings = self._around.settings()
        host = request.headers.get("Host", "").lower()
        if host not in settings.agent.hosts and host.removesuffix(":443") not in settings.agent.hosts:
            return False
        given = request.headers.get("X-Twilio-Signature", "")
        url = f"https://{request.headers.get('Host', '')}{request.raw_path}"
        return signature.valid(url, form, given, settings.fleet.carrier_tokens)

    def _question(
        self, asked: Asked, request: web.Request, form: Mapping[str, Sequence[str]]
    ) -> Question | None:
        """What the carrier asks; None when its own fields contradict ours or are none of theirs.

        The caller's number is needed for his lot and goes no further.
        """

        def said(field: str) -> str:
            return (form.get(field) or [request.query.get(field, "")])[0]

        sent = said("CallSid")
        named = request.query.get("call", "") if asked is Asked.NEXT else ""
        call = named or sent
        hop = request.query.get("hop", "0") if asked is Asked.NEXT else "0"
        if not CALL_ID.fullmatch(call) or (named and sent and named != sent) or not HOP.fullmatch(hop):
            return None
        settings = self._around.settings()
        facts = choice.facts(
            caller=said("From"), called=said("To"), agent=settings.agent.id, key=settings.fleet.zone_keys[0]
        )
        after = escalation.outcome(request.query.get("after", ""), said("DialCallStatus"))
        return Question(
            asked=asked, call=call, hop=int(hop), after=after if asked is Asked.NEXT else None, facts=facts
        )

    async def _answer(self, question: Question) -> str:
        around = self._around
        record = await around.journal.load(question.call)
        if record is not None and question.after is None:
            said = await around.journal.said(record, question.hop)
            if said:
                around.metrics.answered(question.asked.value, "repeated")
                return said
        here = self._here()
        decided = answer.answer(question, record, here)
        match decided:
            case Resume():
                assert record is not None
                raised = journal.raised(record, epoch=decided.epoch, region=decided.region, now=here.now)
                return await self._take(question, record, raised, decided, here)
            case Apology() if record is not None and record.state == "live":
                over = journal.given_up(record, owners=answer.MAX_HOPS, region=here.config.region, now=here.now)
                return await self._take(question, record, over, decided, here)
            case Greet() | Hangup() | Apology() | Wait():
                around.metrics.answered(question.asked.value, type(decided).__name__.lower())
                return decided.twiml
            case _:
                assert_never(decided)

    async def _take(
        self, question: Question, record: CallRecord, raised: CallRecord, decided: Resume | Apology, here: Here
    ) -> str:
        """Let the answer out only when this region's store holds the call, until now `record`, as `raised`."""
        around = self._around
        taken = await around.journal.take(raised, hop=question.hop, twiml=decided.twiml)
        if taken.won:
            around.metrics.answered(question.asked.value, type(decided).__name__.lower())
            what = "call taken over"
            if raised.state == "ended":
                what = "call given up"
                around.journal.put(raised, now=True)
            log.info(what, extra={"epoch": raised.epoch, "hop": question.hop, "from": record.region})
            return decided.twiml
        around.metrics.answered(question.asked.value, "repeated" if taken.said else "wait")
        return taken.said or answer.ask_again(question, here).twiml

    def _here(self) -> Here:
        settings = self._around.settings()
        return Here(
            config=settings.agent,
            directive=self._around.directive(),
            unreachable=self._around.unreachable(),
            own_able=self._around.health.able,
            now=self._around.clock(),
            nonce=secrets.token_urlsafe(16),
            key=settings.fleet.zone_keys[0],
        )

    def _of_the_zone(self, request: web.Request) -> bool:
        settings = self._around.settings()
        proved = token.authorized(
            request.headers.get("Authorization", ""),
            method=request.method,
            path=request.path,
            keys=settings.fleet.zone_keys,
            now=self._around.clock(),
        )
        if not proved:
            self._around.metrics.refused("journal_authorization")
        return proved

    async def _journal(self, request: web.Request) -> web.StreamResponse:
        if not self._of_the_zone(request):
            return web.Response(status=403, text="not of this zone\n")
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.Response(status=426, text="a websocket is expected\n")
        return await self._around.desk.serve(request)

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        if not self._of_the_zone(request):
            return web.Response(status=403, text="not of this zone\n")
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                wanted = msgspec.json.decode(await request.read(), type=journal_wire.Wanted)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TimeoutError):
            return web.Response(status=400, text="not understood\n")
        record = await self._around.journal.local(wanted.call)
        found = journal_wire.encode(journal_wire.Found(record=record))
        return web.Response(text=found, content_type="application/json")

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def _readyz(self, _request: web.Request) -> web.Response:
        reasons = self._around.health.reasons()
        kinds = tuple(reason.partition(":")[0] for reason in reasons)
        if kinds != self._unready:
            log.info("not ready" if reasons else "ready again", extra={"reasons": list(reasons)})
        self._unready = kinds
        return web.json_response({"ready": not reasons, "reasons": list(reasons)}, status=503 if reasons else 200)

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._around.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _form(request: web.Request) -> dict[str, list[str]] | None:
    """None: it cannot be read, or does not come."""
    if request.method != "POST" or request.content_type != "application/x-www-form-urlencoded":
        return {}
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            fields = await request.post()
    except (LookupError, ValueError, TimeoutError):  # A charset that there is not, or that its text is not in.
        return None
    return {name: [value for value in fields.getall(name) if isinstance(value, str)] for name in fields}

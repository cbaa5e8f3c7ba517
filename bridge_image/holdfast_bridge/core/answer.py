"""The one function behind voice, fallback and next: what the carrier is told to do with a call.

Pure and idempotent by call id: what is known of the call, where we are and what time it is are arguments, and so are
keys and nonces. It does not know where records come from or who else is answering the same question; the shell raises
the owner epoch by compare-and-set before it lets a Resume out.

    known record    hop ≥ 3    answer
    none            no         Greet     a new call, first epoch of this hop
    live            no         Resume    under the next epoch, in this region
    ended           any        Hangup    a finished call is not called back to life
    none or live    yes        Apology   three streams in a row did not hold: say so, and see `escalation`

Whom the carrier brings back from a person or a machine is told what follows on that, whatever the record says: with the
Apology the call was over for the zone, and its record says so.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from holdfast_bridge.agent_config import AgentConfig
from holdfast_bridge.core import escalation, routing, token
from holdfast_bridge.core.choice import NO_FACTS, Facts
from holdfast_bridge.core.directive import Directive
from holdfast_bridge.core.journal import CallRecord

MAX_HOPS = 3
HELD_S = 10.0
DEADLINES = "#ct=1000&rt=3000&rc=1"
"""Twilio's connection overrides: 1 s to connect, 3 s to answer, one retry, then the next means."""


class Asked(enum.Enum):
    """Which of the three URLs the carrier fetched."""

    VOICE = "voice"
    FALLBACK = "fallback"
    NEXT = "next"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request of the carrier."""

    asked: Asked
    call: str
    hop: int = 0
    after: escalation.After | None = None
    """The caller was handed to somebody before, and this came of it."""
    facts: Facts = NO_FACTS
    """What the choice of an attempt may know of the call, which the start token passes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """Where and when the question is answered, and with which key and dice."""

    config: AgentConfig
    directive: Directive
    unreachable: frozenset[str]
    own_able: bool
    now: float
    nonce: str
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Greet:
    twiml: str
    region: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Valid only once this region's store holds the call under `epoch`."""

    twiml: str
    region: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Hangup:
    twiml: str


@dataclass(frozen=True, slots=True)
class Apology:
    twiml: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody else is answering for this call at this moment: ask again in a second, end nothing."""

    twiml: str


Answer = Greet | Resume | Hangup | Apology | Wait


def answer(question: Question, record: CallRecord | None, here: Here) -> Answer:
    if question.after is not None:
        return Apology(_document(escalation.next_verbs(here.config, _after_url(question, here), question.after)))
    if record is not None and record.state == "ended":
        return Hangup(_document("<Hangup/>"))
    hop = effective_hop(question, record)
    if hop >= MAX_HOPS:
        return Apology(_document(escalation.first_verbs(here.config, _after_url(question, here))))
    among = routing.candidates(
        here.config, here.directive, unreachable=here.unreachable, own_able=here.own_able
    )
    prefer_own = question.asked is not Asked.VOICE or record is not None
    media = routing.media_region(question.call, among, own=here.config.region, prefer_own=prefer_own)
    if question.asked is Asked.NEXT or record is not None:
        media = _taken_here(media, among, here=here)
    after = routing.next_region(
        question.call, media, among, own=here.config.region, buddy=here.directive.buddy
    )
    # A greeting at a later hop may follow a stream whose journal died with its region, so it claims a later epoch.
    epoch = 1 + hop if record is None else record.epoch + 1
    twiml = _stream(question, media.host, after.host, hop=hop + 1, epoch=epoch, region=media.name, here=here)
    if record is None:
        return Greet(twiml=twiml, region=media.name, epoch=epoch)
    return Resume(twiml=twiml, region=media.name, epoch=epoch)


def effective_hop(question: Question, record: CallRecord | None) -> int:
    """Hops count streams that failed one after another; a stream that held for ten seconds starts the count anew."""
    if record is None or not record.pod:
        return question.hop
    held = record.updated_at - (record.taken_at or record.started_at)
    return 0 if held >= HELD_S else question.hop


def ask_again(question: Question, here: Here) -> Wait:
    url = next_url(here.config, here.config.own_host, question.call, hop=question.hop)
    return Wait(_document(f'<Pause length="1"/>{_redirect(url)}'))


def next_url(config: AgentConfig, host: str, call: str, *, hop: int) -> str:
    return f"https://{host}{config.path}/next?call={quote(call, safe='')}&hop={hop}{DEADLINES}"


def _taken_here(
    media: routing.Candidate, among: tuple[routing.Candidate, ...], *, here: Here
) -> routing.Candidate:
    """A hand-over is taken by the region that is asked, cordoned or not, unless none of its attempts can work."""
    own = next(candidate for candidate in among if candidate.name == here.config.region)
    return own if own.able else media


def _stream(
    question: Question, media_host: str, next_host: str, *, hop: int, epoch: int, region: str, here: Here
) -> str:
    claim = token.Claim(
        call=question.call,
        agent=here.config.id,
        region=region,
        epoch=epoch,
        expires=int(here.now) + token.LIFE_S,
        nonce=here.nonce,
        facts=question.facts,
    )
    url = f"wss://{media_host}{here.config.path}/media"
    parameter = f'<Parameter name="token" value={quoteattr(token.mint(claim, key=here.key))}/>'
    connect = f"<Connect><Stream url={quoteattr(url)}>{parameter}</Stream></Connect>"
    return _document(connect + _redirect(next_url(here.config, next_host, question.call, hop=hop)))


def _redirect(url: str) -> str:
    return f'<Redirect method="POST">{escape(url)}</Redirect>'


def _after_url(question: Question, here: Here) -> str:
    """Where the carrier asks on once somebody has had the caller; who that was is added to it."""
    return f"https://{here.config.own_host}{here.config.path}/next?call={quote(question.call, safe='')}&after="


def _document(verbs: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{verbs}</Response>'

"""What must hold of every parser and codec whatever comes, as functions of bytes: for hypothesis and for a fuzzer.

Each raises an AssertionError, or whatever the code itself raises, when it does not hold. The codecs are those of the
tables of the bridge, with messages made by `hostile_bytes` from their own modules: a new one is among them by itself.
"""

from __future__ import annotations

import itertools
import json
import re
import struct
import typing
import zlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from control_builders import config
from hostile_bytes import Bytes, vocabulary
from written_parts import told, written

from holdfast.core.kinds import Role
from holdfast_bridge import carrier, carrier_telnyx, speech_codecs, stage_codecs
from holdfast_bridge.core import directive, failures, journal, journal_wire, signature, sse, token
from holdfast_bridge.core import events as ev
from holdfast_bridge.core import stages as st
from holdfast_bridge.core.call import CallCore
from holdfast_bridge.core.cascade import Cascade, CascadePlan
from holdfast_bridge.core.plan import CallPlan
from holdfast_bridge.legs import BadFrame, Started
from holdfast_bridge.legs.twilio import MAX_AUDIO_BYTES, TwilioLeg
from holdfast_bridge.providers import aws_signature, bedrock_eventstream, gemini_schema, http_request
from holdfast_bridge.providers.reply_so_far import MAX_TEXT
from holdfast_bridge.providers.tool_calls import MAX_ARGUMENTS

EVENTS = typing.get_args(ev.Event)
HEARING, THINKING, SPEAKING = map(typing.get_args, (st.HearingEvent, st.ThinkingEvent, st.SpeakingEvent))
LABEL = re.compile(r"[A-Za-z0-9_.:/ -]{1,64}")
IDS_MAX = 256
SAID = (Started, ev.CallerAudio, ev.CallerMark, ev.CallerDtmf, ev.CallerStop)
SPEECH = tuple(kind for kind in speech_codecs.KINDS if kind != "loopback")
SPOKEN = ("Hello there, how are you?", "(laughs)", "こんにちは。", " ", "12,50 €", "\x1b[31m <break/> \u2028")
EFFECTS: tuple[ev.ToProvider, ...] = (
    ev.Respond(), ev.Respond("Say exactly: hi", words="hi"), ev.Respond("Be brief."),
    ev.Truncate("line1", 10, "Hel"), ev.Truncate("a", 10**9),
    ev.SeedConversation((ev.SeedText("user", "\U0001f600 \x00"), ev.SeedText("assistant", ""))),
    ev.SeedConversation((ev.SeedTool("1.1.x" * 20, "book", "{}", "\x00"), ev.SeedText("system", "note"))),
    ev.SeedConversation((ev.SeedTool("t", "book", "[1", "no JSON"),)),
    ev.ToolOutput("a", "{}"), ev.ToolOutput("nobody's", "[" * 2_000), ev.AppendAudio(b"\x7f" * 160),
)  # fmt: skip


# --- speech to speech


@lru_cache
def _speech(kind: str) -> tuple[Any, Any]:
    settings = told(written(kind))
    return settings.agent.attempts[0], settings


def speech(kind: str) -> Any:
    attempt, settings = _speech(kind)
    return speech_codecs.codec_for(attempt, settings, (ev.SeedText("user", "hi"),))


def speech_target(kind: str) -> Callable[[bytes], None]:
    words = vocabulary(type(speech(kind)).__module__)

    def target(data: bytes) -> None:
        source, codec, octets, sound, lost = Bytes(data), speech(kind), 0, 0, 0
        sent(codec.opening())
        while source:
            match source.below(8):
                case 7:
                    sent(codec.encode(source.pick(EFFECTS)))
                    said: Iterable[ev.Event] = ()
                case 6:
                    sent([codec.append(source.pick((b"\x7f" * 160, b"\xff" * 160, b"", b"\x00" * 7, b"\x10" * 4_000)))])
                    said = codec.noticed()
                case _:
                    message = words.message(source)
                    octets += len(message)
                    said = codec.decode(message)
            for event in said:
                assert isinstance(event, EVENTS), event
                fit(event)
                sound += len(event.payload) if isinstance(event, ev.ProviderAudio) else 0
                lost += event == ev.ProviderLost("unreadable")
        assert sound <= octets + 1_000, "more sound went out than came in"
        assert lost <= 1, "one link was lost twice for the same"

    return target


def fit(event: ev.Event) -> None:
    """What a call relies on, in an event of a provider."""
    match event:
        case ev.ProviderAudio(item=item, payload=payload):
            assert payload, "sound without sound"
            assert type(payload) is bytes
            assert len(item) <= IDS_MAX
        case ev.ProviderLost(reason=word):
            assert LABEL.fullmatch(word), f"{word!r} is no word for a label"
        case ev.ResponseDone(detail=word):
            assert not word or LABEL.fullmatch(word), f"{word!r} is no word for a label"
        case ev.ToolCall(id=call, arguments=arguments):
            assert len(call) <= IDS_MAX, "an id without end"
            assert len(arguments) <= MAX_ARGUMENTS, "arguments without end"
        case ev.ProviderAudioDone(item=item) | ev.ProviderTranscript(item=item) | ev.UserTranscript(item=item):
            assert len(item) <= IDS_MAX, "an id without end"


def sent(messages: Iterable[bytes]) -> None:
    for message in messages:
        assert type(message) is bytes
        if message:
            json.loads(message)


# --- the stages of a cascade


@lru_cache
def _stage(kind: str, role: Role) -> tuple[Any, Any]:
    settings = told(written(kind))
    attempt = settings.agent.attempts[0]
    assert role.value in ("hearing", "thinking", "speaking")
    return attempt, settings


def stage(kind: str, role: Role) -> Any:
    attempt, settings = _stage(kind, role)
    return getattr(stage_codecs.stages(attempt, settings, call="CA1"), role.value)


def hearing_target(kind: str) -> Callable[[bytes], None]:
    words = vocabulary(type(stage(kind, Role.HEARING)).__module__)

    def target(data: bytes) -> None:
        source, codec = Bytes(data), stage(kind, Role.HEARING)
        while source:
            if source.below(8) == 7:
                said = codec.append(source.pick((b"\xff" * 160, b"", b"\x00" * 4_000)))
                assert said is None or said
                assert codec.keep_alive()
                continue
            message = words.message(source)
            for event in codec.decode(message, binary=source.seldom()):
                assert isinstance(event, HEARING), event
                _fit_stage(event)

    return target


def speaking_target(kind: str) -> Callable[[bytes], None]:
    words = vocabulary(type(stage(kind, Role.SPEAKING)).__module__)

    def target(data: bytes) -> None:
        source, codec, octets, sound = Bytes(data), stage(kind, Role.SPEAKING), 0, 0
        over: set[str] = set()
        while source:
            line = source.pick(("a", "b", "a1", "line1"))
            match source.below(10):
                case 9 | 8:
                    sent(codec.say(line, source.pick(SPOKEN)))
                case 7:
                    sent(codec.end(line))
                case 6:
                    sent(codec.cancel(line))
                    over.add(line)
                case 5:
                    sent(codec.keep_alive())
                case _:
                    binary = source.below(4) == 3 and codec.audio_is_binary
                    message = b"\x7f" * source.below(2_000) if binary else words.message(source)
                    octets += len(message)
                    for event in codec.decode(message, binary=binary):
                        assert isinstance(event, SPEAKING), event
                        _fit_stage(event)
                        if isinstance(event, st.Sound):
                            sound += len(event.payload)
                            assert event.payload
                            assert event.line not in over, "sound of a line that was cancelled"
        assert sound <= octets, "more sound went out than came in"

    return target


def _fit_stage(event: Any) -> None:
    if isinstance(event, st.StageLost):
        assert LABEL.fullmatch(event.word), f"{event.word!r} is no word for a label"
        assert 0.0 <= event.retry_after_s <= failures.RETRY_AFTER_MAX_S
    if isinstance(event, st.Aligned):
        assert event.characters >= 0
        assert event.upto_ms >= 0


def thinking_target(kind: str) -> Callable[[bytes], None]:
    module = type(stage(kind, Role.THINKING)).__module__
    words, framed = vocabulary(module), _FRAMES.get(kind, _server_sent)

    def target(data: bytes) -> None:
        source = Bytes(data)
        stream = b"".join(
            source.take(9) if source.seldom() else framed(words.message(source), source)
            for _ in range(30 - source.below(30))
        )
        cuts = [source.below(65_536) % (len(stream) + 1) for _ in range(source.below(6))]
        whole, cut = _thought(kind, [stream]), _thought(kind, _cut(stream, cuts))
        assert whole == cut, "where the bytes are cut changes what is read"
        text = sum(len(event.text) for event in whole if isinstance(event, st.TextPiece))
        assert text <= MAX_TEXT
        assert sum(isinstance(event, st.ReplyEnded | st.StageLost) for event in whole) == 1, "a reply has one end"
        for event in whole:
            assert isinstance(event, THINKING), event
            _fit_stage(event)
            if isinstance(event, st.ToolAsked):
                assert len(event.arguments) <= MAX_ARGUMENTS
                assert len(event.id) <= IDS_MAX

    return target


def _thought(kind: str, chunks: Iterable[bytes]) -> list[st.ThinkingEvent]:
    reply = stage(kind, Role.THINKING).reply()
    told = [event for chunk in chunks for event in reply.feed(chunk)]
    return [*told, *reply.end()]


def _cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *cuts})
    return [stream[start:stop] for start, stop in itertools.pairwise(edges)]


def _server_sent(message: bytes, source: Bytes) -> bytes:
    name = source.pick((b"", b"", b"event: error\n", b"event: message_start\n", b": comment\n"))
    return name + b"data: " + message.replace(b"\n", b"") + source.pick((b"\n\n", b"\n\n", b"\r\n\r\n", b"\r\r", b"\n"))


def _event_stream(message: bytes, source: Bytes) -> bytes:
    kinds = ("contentBlockStart", "contentBlockDelta", "messageStop", "metadata", "contentBlockStop", "x")
    names = ((":message-type", source.pick(("event", "event", "event", "exception", "error"))),)
    names += ((":event-type", source.pick(kinds)), (":exception-type", source.pick(("throttlingException", "x" * 99))))
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(text)) + text.encode()
        for name, text in names
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(message), len(headers))
    whole = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + message
    return whole + struct.pack(">I", zlib.crc32(whole) ^ source.seldom())


_FRAMES: dict[str, Callable[[bytes, Bytes], bytes]] = {"bedrock": _event_stream}


# --- the carrier


def twilio(data: bytes) -> None:
    source, leg, words = Bytes(data), TwilioLeg(), vocabulary(TwilioLeg.__module__)
    orderly = (
        b'{"event":"connected"}',
        b'{"event":"start","streamSid":"a","start":{"accountSid":"AC1","callSid":"CA1","mediaFormat":%b}}'
        % b'{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}',
    )
    for message in orderly if source.below(4) < 3 else ():
        leg.decode(message)
    while source:
        message = words.message(source)
        refused: BadFrame | None = None
        said = None
        try:
            said = leg.decode(message)
        except BadFrame as bad:
            refused = bad
        assert refused is None or (refused.code in (1003, 1007, 1008) and LABEL.fullmatch(refused.reason))
        assert said is None or isinstance(said, SAID)
        if isinstance(said, ev.CallerAudio):
            assert 0 < len(said.payload) <= MAX_AUDIO_BYTES
        for made in (leg.media(b"\x00\xff"), leg.mark("m1"), leg.clear):
            assert not made or isinstance(said, Started) or _no_text_smuggled(made)


def _no_text_smuggled(made: bytes) -> bool:
    return not made.startswith(b"{") or json.loads(made)["event"] in ("media", "mark", "clear")


# --- parsers


def server_sent_events(data: bytes) -> None:
    cuts, stream = [at % (len(data) + 1) for at in data[:5]], data[5:] * 3
    readings = []
    for chunks in ([stream], _cut(stream, cuts), [bytes([octet]) for octet in stream]):
        reader = sse.EventReader(max_octets=300)
        readings.append(([event for chunk in chunks for event in reader.feed(chunk)], reader.too_long))
    assert readings[0] == readings[1] == readings[2]


def event_stream(data: bytes) -> None:
    source = Bytes(data, of_messages=False)
    stream = b"".join(_event_stream(source.take(source.below(40)), source) for _ in range(source.below(8)))
    changed = bytearray(stream + source.take(20))
    for _ in range(source.below(3)):
        if changed:
            changed[source.below(len(changed)) % len(changed)] = source.below(256)
    cuts = [source.below(65_536) % (len(changed) + 1) for _ in range(4)]
    readings = []
    for chunks in ([bytes(changed)], _cut(bytes(changed), cuts), [bytes([octet]) for octet in changed]):
        reader = bedrock_eventstream.FrameReader(max_octets=400)
        readings.append(([frame for chunk in chunks for frame in reader.feed(chunk)], reader.broken))
    assert readings[0] == readings[1] == readings[2]


def secrets(data: bytes) -> None:
    """Nothing that was not signed is taken, and nothing is raised by what came in its place."""
    source = Bytes(data)
    text = source.take(source.below(200)).decode(errors="surrogateescape")
    other = source.rest().decode("latin-1")
    for given in (text, other, f"{text}.{other}", f"Holdfast {text}.{other}", f"Holdfast 1000.{other}"):
        refused = token.verify(given, keys=(b"k",), agent="a", region="r", now=1000.0)
        assert isinstance(refused, token.Refusal)
        assert not token.authorized(given, method="GET", path=other, keys=(b"k",), now=1000.0)
        assert not signature.valid(f"https://{text}/{other}", {text: [other]}, given, ["t"])
    body = token.b64url(other.encode())
    minted = f"{body}.{token.b64url(token._mac(b'k', body.encode()))}"
    told = token.verify(minted, keys=(b"k",), agent="a", region="r", now=1000.0)
    assert isinstance(told, token.Refusal | token.Claim)


def zone(data: bytes) -> None:
    """What peers and the operator say."""
    source, agent = Bytes(data), config()
    parts = (directive, journal, journal_wire)
    made = vocabulary(source.pick(parts).__name__).message(source) if source.below(4) else source.rest()
    if (ordered := directive.decode(made)) is not None:
        kept = directive.within_zone(ordered, agent)
        assert {region.name for region in kept.regions} == {region.name for region in agent.regions}
        assert {region.host for region in kept.regions} <= {region.host for region in agent.regions}
        assert set(kept.attempts) <= {attempt.name for attempt in agent.attempts}
        directive.in_order(agent, kept.attempts, kept.barred)
        directive.restored(agent, directive.initial(agent), kept)
    if (record := journal.decode(made)) is not None:
        cut = journal.bounded(record)
        assert len(cut.items) <= journal.MAX_ITEMS
        assert len(cut.tools) <= journal.MAX_TOOLS
        assert journal.decode(journal.encode(cut)) == cut
        CallCore(plan(), cut).start(0.0)
    for read in (journal_wire.from_owner, journal_wire.from_buddy):
        if (message := read(made)) is not None:
            assert read(journal_wire.encode(message)) == message
    with_text = made.decode(errors="replace")
    assert read(with_text) is None or read(made) is not None


def answers(data: bytes) -> None:
    """What vendors, carriers and tools answer over HTTP."""
    source = Bytes(data)
    text, rest = source.take(source.below(60)).decode("latin-1"), source.rest()
    status = len(text) * 17 % 1000
    for lost in (
        failures.refused(status, body=rest.decode(errors="replace"), retry_after=text),
        http_request.refused(status, {text: text, "retry-after": text, "x-amzn-errortype": text}, rest),
    ):
        assert LABEL.fullmatch(lost.word)
        assert 0.0 <= lost.retry_after_s <= failures.RETRY_AFTER_MAX_S
    word, _ = failures.closed(int.from_bytes(rest[:2]), text)
    assert LABEL.fullmatch(word)
    for kind in stage_codecs.THINKING:
        _fit_stage(stage(kind, Role.THINKING).status_failure(status, {text: text}, rest))
    carrier._code(rest)
    carrier_telnyx._codes(rest)
    json.dumps(gemini_schema.response(rest.decode(errors="replace")))
    scope = aws_signature.AwsScope(access_key_id="i", secret_access_key="s", region="r", service="bedrock")
    given = {"content-type": text, "X-Amz-Y": text}
    unsigned = aws_signature.Unsigned("POST", "https://x.com/a%3Ab?b=1&a", given, rest)
    signed = aws_signature.signed_headers(unsigned, scope, now=1000.0)
    assert signed["authorization"].startswith("AWS4-HMAC-SHA256 ")


# --- the call itself


def plan() -> CallPlan:
    return CallPlan(
        call="CA1", agent="clinic/front-desk", epoch=3, region="fra", pod="p", wall_s=1000.0, max_call_s=600.0,
        greeting="Hello.", disclosure="I am a bot.", language="en", barge_in=True, speaks=True, attempts=2,
        tools=frozenset({"book"}), repeatable=frozenset(),
    )  # fmt: skip


def call(data: bytes) -> None:
    """Whatever its provider and its carrier say in whatever order, a call decides something, and the books agree."""
    source, core, now = Bytes(data, of_messages=False), CallCore(plan()), 0.0
    core.start(now)
    while source:
        core.receive(_event(source), now)
        if source.below(4) == 0:
            now += source.pick((0.02, 0.5, 2.0, 30.0))
            if (due := core.get_timer()) is not None and due <= now:
                core.handle_timer(now)
        for effect in core.effects():
            if isinstance(effect, ev.Record):
                assert journal.decode(journal.encode(effect.record)) == effect.record
            if isinstance(effect, ev.RunTool) and source.below(2):
                core.receive(ev.ToolResult(effect.id, "{}", ran=bool(source.below(2))), now)
    core.past()
    assert core.record.call == "CA1"


def _event(source: Bytes) -> ev.Event:
    item = source.pick(("a", "b", "c", *(f"i{number}" for number in range(40))))
    text = source.pick(("", "Hello there", "こんにちは" * 3, "x" * 5_000))
    made: tuple[ev.Event, ...] = (
        ev.ProviderAudio(item, b"\x7f" * source.pick((1, 160, 1_600, 9_000))), ev.ProviderAudioDone(item),
        ev.ProviderTranscript(item, text, final=bool(source.below(2))), ev.UserTurn(item),
        ev.UserTranscript(item, text, final=bool(source.below(2))), ev.SpeechStarted(), ev.SpeechStopped(),
        ev.SpeechStopped(words=False), ev.ResponseStarted(), ev.ResponseDone(ok=True), ev.ResponseDone(ok=False),
        ev.ToolCall(item, source.pick(("book", "end_call", "other")), "{}"), ev.ToolResult(item, "{}"),
        ev.ProviderReady(), ev.ProviderReady(attentive=False), ev.ProviderLost("stall"),
        ev.ProviderLost("auth", retry_same=False), ev.AttemptsOrdered((source.below(2),)),
        ev.CallerAudio(b"\x10" * 160), ev.CallerAudio(b"\xff" * 160), ev.CallerMark(f"m{source.below(30)}"),
        ev.CallerDtmf("#"), ev.Released(),
    )  # fmt: skip
    return source.pick(made)


def cascade(data: bytes) -> None:
    """Whatever its stages say, a cascade asks them for something sensible and tells the call of itself what is fit."""
    source, core = Bytes(data, of_messages=False), Cascade(CascadePlan(instructions="Be kind."))
    core.stage("hearing", st.StageReady())
    core.stage("speaking", st.StageReady())
    numbers = [0]
    while source:
        line = source.pick(("a1", "a2", "a3", "other"))
        text = source.pick(("", "Hello there. ", "good morning to you all, ", "x" * 3_000))
        made: tuple[Any, ...] = (
            st.TurnBegan(), st.Words(text), st.TurnLikelyOver(text), st.TurnGoesOn(), st.TurnEnded(text),
            st.TextPiece(text), st.ToolAsked(line, "book", "{}"), st.ReplyEnded(source.pick(tuple(st.Ended))),
            st.Sound(line, b"\x7f" * 80), st.Aligned(line, source.below(300), source.below(3_000)), st.LineDone(line),
            st.StageLost("stall"), st.StageReady(),
        )  # fmt: skip
        if source.below(4):
            core.stage(source.pick(("hearing", "thinking", "speaking")), source.pick(made), source.pick(numbers[-4:]))
        else:
            core.tell(source.pick(EFFECTS))
        said, orders = core.take()
        numbers += [order.number for order in orders if hasattr(order, "number")]
        for event in said:
            assert isinstance(event, EVENTS), event
            fit(event)
        core.awaited()


TARGETS: dict[str, Callable[[bytes], None]] = {
    **{f"speech/{kind}": speech_target(kind) for kind in SPEECH},
    **{f"hearing/{kind}": hearing_target(kind) for kind in stage_codecs.HEARING},
    **{f"thinking/{kind}": thinking_target(kind) for kind in stage_codecs.THINKING},
    **{f"speaking/{kind}": speaking_target(kind) for kind in stage_codecs.SPEAKING},
    "twilio": twilio,
    "server-sent-events": server_sent_events,
    "event-stream": event_stream,
    "secrets": secrets,
    "zone": zone,
    "answers": answers,
    "call": call,
    "cascade": cascade,
}
GROUPS: dict[str, tuple[str, ...]] = {
    role: tuple(name for name in TARGETS if name.startswith(f"{role}/"))
    for role in ("speech", "hearing", "thinking", "speaking")
} | {
    "carrier": ("twilio", "secrets"),
    "parsers": ("server-sent-events", "event-stream", "zone", "answers"),
    "core": ("call", "cascade"),
}
"""What is fuzzed in one process: the first byte says which of them is meant."""


def group_target(group: str) -> Callable[[bytes], None]:
    members = tuple(TARGETS[name] for name in GROUPS[group])

    def target(data: bytes) -> None:
        members[data[0] % len(members) if data else 0](data[1:])

    return target

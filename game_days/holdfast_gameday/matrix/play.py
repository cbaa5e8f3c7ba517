"""One case of the matrix: a bridge, a caller, the fault at its moment, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast_gameday.matrix import bridges
from holdfast_gameday.matrix.cases import Case, Mode, Tongue
from holdfast_gameday.matrix.entry import Entry
from holdfast_gameday.matrix.judge import Finding, Seen, judge
from holdfast_gameday.matrix.vendors import Vendors
from holdfast_gameday.world import openai_model
from holdfast_gameday.world.callers import Call, Callers
from holdfast_gameday.world.callers_ear import Segment
from holdfast_gameday.world.callers_script import Ask, Goodbye, Interrupt, Listen, Step, Tell
from holdfast_gameday.world.tools_webhook import ToolsWebhook
from holdfast_gameday.world.twilio import TwilioSim

CASE_WITHIN_S = 90.0
HEARD_BEFORE_STRIKE_S = 0.3
TOOL_TAKES_S = 0.4
LOOK_EVERY_S = 0.02

SENTENCES = {
    Tongue.ENGLISH: (
        "please repeat that I would like to have the large table by the window for my eight guests on Friday evening"
    ),
    Tongue.GERMAN: (
        "bitte wiederholen Sie, dass ich den runden Tisch am Fenster für meine acht Gäste am Freitagabend haben möchte"
    ),
    Tongue.JAPANESE: "金曜日の夜に窓側の席を予約したいと繰り返していただけますか",
}
TALK = {
    Tongue.ENGLISH: (
        "my code is {}, please remember it", "what is my code", "book a table for {}", "booked", "goodbye",
    ),
    Tongue.GERMAN: (
        "mein Code ist {}, bitte merken Sie sich das", "wie lautet mein Code", "buchen Sie einen Tisch für {}",
        "gebucht", "auf Wiederhören",
    ),
    Tongue.JAPANESE: (
        "私の番号は{}です、覚えておいてください", "私の番号は何ですか", "予約をお願いします、{}です", "予約しました",
        "さようなら",
    ),
}
"""The fact, the question for it, the wish and its answer, the end."""
GREETINGS = {
    Tongue.ENGLISH: "Good morning, this is the practice, how can I help you today?",
    Tongue.GERMAN: "Guten Morgen, hier ist die Praxis, wie kann ich Ihnen heute helfen?",
    Tongue.JAPANESE: "おはようございます。こちらは予約受付です。ご用件をどうぞ。",
}
BOOK = {
    "name": "book",
    "description": "Books a table.",
    "parameters": {"type": "object", "properties": {"wish": {"type": "string"}}, "required": ["wish"]},
    "sideEffects": True,
    "timeoutMs": 3000,
    "networks": bridges.LOOPBACK,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Everything that the cases share."""

    twilio: TwilioSim
    callers: Callers
    vendors: Vendors
    tools: ToolsWebhook
    tools_url: str
    entry: Entry
    account: str
    auth_token: str
    carrier_url: str
    trust: Path
    folder: Path


def key_of(case: Case, place: str) -> str:
    """The name of an attempt's key: a for the first provider, b for the next."""
    return f"c{case.number}{place}"


def script(case: Case) -> Sequence[Step]:
    fact, question, wish, done, farewell = TALK[case.tongue]
    tell = Tell(fact.format(case.code))
    book = Ask(wish.format(case.code), done)
    remembered = Ask(question, case.code)
    sentence = Tell(SENTENCES[case.tongue])
    if case.mode is None:
        return Listen(), tell, Interrupt(SENTENCES[case.tongue]), book, remembered, Goodbye(farewell)
    if case.mode is Mode.TOOL:
        return Listen(), tell, book, remembered, Goodbye(farewell)
    return Listen(), tell, sentence, remembered, book, Goodbye(farewell)


async def play(case: Case, ground: Range) -> Finding:
    """Never raises for what a call does: what is wrong is in the finding."""
    host = f"c{case.number}.matrix.example"
    given = bridges.Given(
        host=f"{host}:{ground.entry.port}",
        attempts=tuple(_attempt(case, ground, place) for place in ("a", "b") if place == "a" or case.then),
        persona={"instructions": "Be kind.", "greeting": GREETINGS[case.tongue], "language": case.tongue.value},
        tools=({**BOOK, "url": ground.tools_url},),
        account=ground.account,
        auth_token=ground.auth_token,
        carrier_url=ground.carrier_url,
        trust=ground.trust,
    )
    try:
        async with asyncio.timeout(CASE_WITHIN_S), bridges.bridge(given, ground.folder / f"c{case.number}") as ports:
            ground.entry.bridges[host] = ports
            return await _call(case, ground, host)
    except bridges.BridgeDown as error:
        return Finding(case, (str(error),))
    except TimeoutError:
        return Finding(case, (f"not over after {CASE_WITHIN_S:.0f} s",))
    finally:
        ground.entry.bridges.pop(host, None)


async def _call(case: Case, ground: Range, host: str) -> Finding:
    number = f"+49301{case.number:06d}"
    account = ground.twilio.state.accounts[ground.account]
    base = f"https://{host}:{ground.entry.port}/a/matrix/agent"
    application = ground.twilio.state.add_application(account, friendly_name=host, voice_url=f"{base}/voice")
    ground.twilio.state.add_number(account, number, voice_application_sid=application.sid)
    call = ground.callers.place(number, script(case))
    async with asyncio.TaskGroup() as group:
        striking = group.create_task(_strike(case, ground, call)) if case.mode is not None else None
        await call.over.wait()
        if striking is not None and not striking.done():
            striking.cancel()
    struck_at = striking.result() if striking is not None and not striking.cancelled() else None
    return judge(
        Seen(
            case=case,
            report=call.report(),
            sentence=openai_model.echo(SENTENCES[case.tongue]),
            struck_at=struck_at,
            next_spoke_at=_next_spoke_at(case, ground, struck_at),
            bookings=ground.tools.executions_by_call[call.sid],
        )
    )


async def _strike(case: Case, ground: Range, call: Call) -> float:
    """Waits for the moment, and breaks the first provider. Returns when that was."""
    assert case.mode is not None
    if case.mode is Mode.TOOL:
        await _until(lambda: ground.tools.executions_by_call[call.sid] > 0)
    else:
        await _until(lambda: _says_the_sentence(call, case))
    ground.vendors.strike(case.first, case.stage, key_of(case, "a"), case.mode)
    return asyncio.get_running_loop().time()


def _says_the_sentence(call: Call, case: Case) -> bool:
    segments, sentence = call.ear.segments(), openai_model.echo(SENTENCES[case.tongue])
    said = segments[-1].text.strip() if segments else ""
    # A cascade says it in pieces, of which the first is too short to be broken.
    return len(said) > len(sentence) / 2 and said in sentence and _length_s(segments[-1]) >= HEARD_BEFORE_STRIKE_S


def _length_s(segment: Segment) -> float:
    return segment.until - segment.since


def _next_spoke_at(case: Case, ground: Range, struck_at: float | None) -> float | None:
    if struck_at is None:
        return None
    spoke = ground.vendors.spoke(case.then, key_of(case, "b"))
    return next((at for at in spoke if at >= struck_at), None)


def _attempt(case: Case, ground: Range, place: str) -> tuple[dict[str, object], dict[str, str]]:
    kind, key = (case.first if place == "a" else case.then), key_of(case, place)
    return (
        ground.vendors.attempt(kind, key=key, language=case.tongue.value),
        ground.vendors.key_files(kind, key),
    )


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(LOOK_EVERY_S)

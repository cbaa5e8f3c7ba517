"""What a soak of calls is made of and judged by. Whether a bridge passes it is the soak's to say, not a test's."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from holdfast_bridge.core import events as ev
from holdfast_bridge.provider_link import ProviderUnreachable, SocketLink, dial
from holdfast_bridge.providers import openai_items
from holdfast_gameday.bench_bridge import shapes
from holdfast_gameday.bench_bridge.carrier import Caller, Clock
from holdfast_gameday.bench_bridge.provider import Provider
from holdfast_gameday.soak_calls import dice, readings, run, verdict, webhooks
from holdfast_gameday.soak_calls.book import Book, Call, Ended
from holdfast_gameday.soak_calls.dice import Fault, Kind
from holdfast_gameday.soak_calls.run import Course
from holdfast_gameday.soak_calls.vendors import Vendor, agent_ends_call
from holdfast_gameday.soak_calls.verdict import Ends, Series
from holdfast_gameday.soak_calls.voice import NOBODY, Ear, Gap, Voice
from holdfast_gameday.soak_calls.webhooks import Pod
from holdfast_gameday.world.ports import free_port

SECOND = 1_000_000_000
HOUR_S = 3600.0


def call(name: str = "CA1", **changed: object) -> Call:
    made = {"call": name, "number": 0, "began": 0, "until": 60 * SECOND, "ended": Ended.BY_CALLER, "streams": 1}
    return Call(**{**made, **changed})  # type: ignore[arg-type]


def series(*tenths: float, seconds: float = 100.0, warm_up: float = 1.0, **changed: float) -> Series:
    """One sample a second: the warm-up's, then the same figure throughout each tenth."""
    samples = [(at + 0.5, warm_up) for at in range(10)]
    samples += [(10.5 + place * 9 + each, value) for place, value in enumerate(tenths) for each in range(9)]
    return Series(tuple(samples), **changed)


def ends(**changed: object) -> Ends:
    stored = {"here": frozenset({"CA1"}), "there": frozenset({"CA1"})}
    made = {"taken": Counter({"CA1": 1}), "repeated": 0, "after": (), "stored": stored}
    return Ends(**{**made, **changed})  # type: ignore[arg-type]


# --- the dice


def test_a_seed_is_a_run() -> None:
    assert dice.faults(1, HOUR_S) == dice.faults(1, HOUR_S)
    assert dice.faults(1, HOUR_S) != dice.faults(2, HOUR_S)


@pytest.mark.parametrize("seed", range(20))
def test_an_hour_has_every_fault_at_both_providers_and_one_every_few_seconds(seed: int) -> None:
    found = dice.faults(seed, HOUR_S)

    assert {(fault.vendor, fault.kind) for fault in found} == {(name, kind) for name in dice.VENDORS for kind in Kind}
    assert max(later.at_s - fault.at_s for fault, later in pairwise(found)) < 30.0
    assert all(fault.until_s < HOUR_S for fault in found)


@pytest.mark.parametrize("seed", range(20))
def test_while_a_provider_is_down_the_other_takes_sessions_unless_it_is_down_too(seed: int) -> None:
    found = dice.faults(seed, HOUR_S)
    weather = [fault for fault in found if fault.kind is not Kind.DOWN and fault.lasts_s]
    met = [
        (fault, down)
        for down in found
        if down.kind is Kind.DOWN
        for fault in weather
        if fault.vendor != down.vendor and fault.at_s < down.until_s and down.at_s < fault.until_s
    ]

    assert met == []


def test_a_provider_is_never_down_twice_at_once() -> None:
    down = [fault for fault in dice.faults(3, HOUR_S) if fault.kind is Kind.DOWN and fault.vendor == "first"]

    assert all(fault.until_s < later.at_s for fault, later in pairwise(down))


def test_callers_talk_for_half_a_minute_to_three_and_some_sockets_die() -> None:
    lives = [dice.life(own) for own in [Random("lives")] for _ in range(1000)]

    assert all(30 <= each.lasts_s <= 180 for each in lives)
    assert all(0 < each.pulled_at_s < each.lasts_s for each in lives if each.pulled_at_s)
    assert {(each.by_agent, bool(each.pulled_at_s)) for each in lives} == {
        (by_agent, pulled) for by_agent in (True, False) for pulled in (True, False)
    }


# --- the sound


def test_a_provider_knows_the_call_by_its_sound_and_says_it_back() -> None:
    voice, ear = Voice(417, 0), Ear()
    sound = voice.say(0, 0)

    assert ear.hear(sound, 0) == 417
    assert voice.hear(ear.repeat(sound, 417, 0), SECOND) == 417
    assert (voice.strange, voice.longest_ns) == (0, SECOND)


def test_the_bridges_tone_is_not_the_agents_voice() -> None:
    voice = Voice(1, 0)

    assert voice.hear(b"//////8=", 11 * SECOND) == NOBODY
    voice.done(12 * SECOND)
    assert voice.gaps == [Gap(0, 12 * SECOND)]


def test_another_calls_sound_is_noticed() -> None:
    voice = Voice(1, 0)
    voice.hear(Voice(2, 0).say(0, 0), SECOND)

    assert voice.strange == 1


def test_nothing_is_due_once_the_call_is_to_end() -> None:
    voice = Voice(1, 0)
    voice.hear(voice.say(0, 0), SECOND)
    voice.done(2 * SECOND)
    voice.done(40 * SECOND)

    assert voice.gaps == []


def test_the_bridge_understands_an_agent_that_ends_the_call() -> None:
    incoming = openai_items.Incoming(audio="response.output_audio", transcript="response.output_audio_transcript")
    said = [shapes.session("updated"), *shapes.line_begins(3), *agent_ends_call(3)]

    heard = [event for message in said for event in incoming.decode(message)]

    item = "item_000000000003"
    assert heard == [
        ev.ProviderReady(),
        ev.ResponseStarted(),
        ev.ProviderAudioDone(item),
        ev.ProviderTranscript(item, "I", final=True),
        ev.ToolCall("call_end00000003", "end_call", "{}"),
        ev.ResponseDone(ok=True, detail="completed"),
    ]


# --- a provider with faults


@contextlib.asynccontextmanager
async def provider() -> AsyncIterator[tuple[Vendor, Ask]]:
    """A provider, and what dials it: the bridge's own link, which tells how it was lost."""
    port = free_port()
    vendor = Vendor("first", port, Random(1))
    links: list[SocketLink] = []

    async def ask() -> Dialled:
        dialled = Dialled()
        link = await dial(
            f"ws://127.0.0.1:{port}/v1/realtime", {}, on_message=dialled.said.put_nowait,
            on_lost=lambda word, _: dialled.lost.set_result(word),
        )  # fmt: skip
        links.append(link)
        assert await dialled.said.get() == shapes.session("created")
        return dialled

    await vendor.open()
    try:
        yield vendor, ask
    finally:
        for link in links:
            link.close()
        vendor.close()


class Dialled:
    def __init__(self) -> None:
        self.said: asyncio.Queue[bytes] = asyncio.Queue()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()


Ask = Callable[[], Awaitable[Dialled]]


@pytest.mark.parametrize(("kind", "word"), [(Kind.CUT, "disconnected"), (Kind.CLOSED, "closed_1011")])
async def test_a_link_is_lost_as_the_dice_say(kind: Kind, word: str) -> None:
    async with provider() as (vendor, ask):
        dialled = await ask()
        await vendor.meet(Fault(at_s=0.0, vendor="first", kind=kind, sessions=3))

        assert await dialled.lost == word


async def test_garbage_ends_a_link_in_the_bridges_eyes() -> None:
    incoming = openai_items.Incoming(audio="response.output_audio", transcript="response.output_audio_transcript")
    async with provider() as (vendor, ask):
        dialled = await ask()
        await vendor.meet(Fault(at_s=0.0, vendor="first", kind=Kind.GARBAGE, sessions=1))
        heard = [event for _ in range(3) for event in incoming.decode(await dialled.said.get())]

    assert heard == [ev.ProviderLost("unreadable")]


async def test_an_error_event_is_the_servers_and_may_be_asked_again() -> None:
    incoming = openai_items.Incoming(audio="response.output_audio", transcript="response.output_audio_transcript")
    async with provider() as (vendor, ask):
        dialled = await ask()
        await vendor.meet(Fault(at_s=0.0, vendor="first", kind=Kind.ERROR, sessions=1))
        (lost,) = incoming.decode(await dialled.said.get())

    assert lost == ev.ProviderLost("server_error", retry_same=True)


async def test_a_link_that_fell_silent_stays_open_and_says_nothing() -> None:
    async with provider() as (vendor, ask):
        dialled = await ask()
        (line,) = vendor.lines
        await vendor.meet(Fault(at_s=0.0, vendor="first", kind=Kind.STALLED, sessions=1))
        line.error()
        await ask()

        assert vendor.lines[0] is line
        assert dialled.said.empty()


@pytest.mark.parametrize(
    ("kind", "word"), [(Kind.REFUSED_503, "server"), (Kind.REFUSED_429, "rate"), (Kind.REFUSED_401, "auth")]
)
async def test_upgrades_are_refused_as_long_as_the_weather_lasts(kind: Kind, word: str) -> None:
    async with provider() as (vendor, ask):
        await vendor.meet(Fault(at_s=0.0, vendor="first", kind=kind, lasts_s=60.0, share=1.0))
        with pytest.raises(ProviderUnreachable, match=word):
            await ask()
        await vendor.meet(Fault(at_s=0.0, vendor="first", kind=kind, lasts_s=0.0, share=1.0))
        await ask()

    assert vendor.refused == 1


async def test_a_provider_that_is_down_has_no_sessions_and_takes_none_until_it_is_back() -> None:
    async with provider() as (vendor, ask):
        dialled = await ask()
        down = asyncio.create_task(vendor.meet(Fault(at_s=0.0, vendor="first", kind=Kind.DOWN, lasts_s=0.2)))
        assert await dialled.lost == "disconnected"
        with pytest.raises(ProviderUnreachable, match="connect"):
            await ask()
        await down
        await ask()

    ((began, ended),) = vendor.down
    assert ended > began


# --- what the carrier reads

HERE, THERE = Pod("here", "127.0.0.1:1", "127.0.0.1:2"), Pod("there", "127.0.0.1:3", "127.0.0.1:4")
PODS = {"bench.example": HERE, "127.0.0.1:1": HERE, "127.0.0.1:3": THERE}


def test_a_stream_leads_to_the_audio_port_of_its_pod_and_goes_on_elsewhere() -> None:
    found = webhooks.read(
        '<Response><Connect><Stream url="wss://127.0.0.1:1/a/bench/agent/media"><Parameter name="token" value="t"/>'
        '</Stream></Connect><Redirect method="POST">https://127.0.0.1:3/next?call=CA1&amp;hop=1#ct=1</Redirect>'
        "</Response>",
        PODS,
    )

    assert found.stream is not None
    assert found.stream.url == "ws://127.0.0.1:2/a/bench/agent/media"
    assert (found.stream.headers["Host"], found.stream.parameters) == ("127.0.0.1:1", {"token": "t"})
    assert (found.pod, found.hang_up, found.afterwards) == (HERE, False, "https://127.0.0.1:3/next?call=CA1&hop=1#ct=1")


def test_a_hang_up_is_the_end_and_an_apology_is_not() -> None:
    assert webhooks.read("<Response><Hangup/></Response>", PODS).hang_up
    apology = webhooks.read("<Response><Say>Sorry.</Say><Hangup/></Response>", PODS)
    assert (apology.hang_up, apology.apology) == (False, True)


def test_a_carrier_that_is_to_wait_asks_again() -> None:
    found = webhooks.read('<Response><Pause length="1"/><Redirect>https://a/next</Redirect></Response>', PODS)

    assert (found.stream, found.pause_s, found.afterwards) == (None, 1.0, "https://a/next")


# --- what the bench lends


def test_a_caller_who_left_speaks_no_more() -> None:
    clock = Clock()
    stays, leaves = (Caller(name, "AC1", Voice(1, 0), Voice(1, 0)) for name in ("CA1", "CA2"))
    clock.add(stays)
    clock.add(leaves)
    clock.remove(leaves)
    clock.remove(leaves)

    assert len(clock) == 1


def test_a_session_speaks_where_it_is_told() -> None:
    said: list[bytes] = []
    provider = Provider(lambda: (Ear(), Ear()))
    session = provider.accept(None)  # type: ignore[arg-type]
    session.begin(said.append)

    assert said == [shapes.session("created")]
    assert provider.opened == 1


# --- the book


def test_a_pod_may_have_what_is_open_and_what_left_it_lately() -> None:
    book = Book()
    for _ in range(3):
        book.opened("here")
    book.left("here", 100.0)

    assert book.at_most("here", 109.0) == 3
    assert book.at_most("here", 110.5) == 2
    assert book.at_most("there", 110.5) == 0


# --- the verdict


def test_memory_may_move_by_a_twentieth_after_the_warm_up() -> None:
    found = verdict.memory(series(100e6, *[105e6] * 4, *[95e6] * 5, warm_up=1e6), 100.0)

    assert found.wrong == ()
    assert found.seen.startswith("first tenth 100.0 MB, farthest 105.0 MB (+5.0%)")


@pytest.mark.parametrize("tenth", [94e6, 106e6])
def test_memory_that_moves_more_is_broken(tenth: float) -> None:
    found = verdict.memory(series(100e6, *[100e6] * 8, tenth), 100.0)

    assert found.wrong == (f"tenth 10: {tenth / 1e6:.1f} MB, {tenth / 100e6 - 1:+.1%}",)


def test_one_sample_that_is_off_does_not_move_a_median() -> None:
    flat = series(*[100e6] * 10)

    assert verdict.memory(Series((*flat.samples, (50.2, 900e6))), 100.0).wrong == ()


def test_a_tenth_that_nobody_looked_at_is_no_proof() -> None:
    assert verdict.memory(series(*[100e6] * 9), 100.0).wrong == ("only 9 of 10 tenths have any",)
    assert verdict.counts("tasks", Series(()), Series(()), 100.0).wrong == ("only 0 of 10 tenths have any",)


def test_counts_are_those_of_a_call_and_may_move_by_a_tenth() -> None:
    """Half of the calls leave in the second half, and their sockets with them."""
    live, fewer = series(*[100] * 5, *[50] * 5), [125.0] * 4

    assert verdict.counts("fds", series(*[220] * 5, *[120] * 5, idle=20, afterwards=40), live, 100.0).wrong == ()
    assert verdict.counts("fds", series(*[220] * 5, *fewer, 150, idle=20, afterwards=41), live, 100.0).wrong == (
        "tenth 10: 2.60 a call, +30.0%",
        "41 after the last call, 20 before the first",
    )


def test_few_calls_may_be_joined_by_the_connections_that_a_pod_keeps() -> None:
    live = series(*[20] * 10)

    assert verdict.counts("fds", series(*[60] * 9, 79, idle=20, afterwards=36), live, 100.0).wrong == ()
    live = series(*[100] * 9, 40)
    assert verdict.counts("fds", series(*[220] * 9, 118, idle=20, afterwards=36), live, 100.0).wrong == ()


def test_a_count_without_calls_is_no_sample() -> None:
    live = Series(((0.0, 0.0), (10.0, 4.0)))

    assert verdict.beside(Series(((5.0, 9.0), (12.0, 9.0)), idle=1.0), live) == [(12.0, 8.0, 4.0)]


def test_a_call_that_stays_in_the_book_is_told() -> None:
    assert verdict.book([], {"here": 0}, 9).wrong == ()
    assert verdict.book(["after 9 s: here has 3 calls"], {"here": 0, "there": 2}, 9).wrong == (
        "after 9 s: here has 3 calls",
        "2 calls in there at last",
    )
    assert verdict.book([], {}, 0).wrong == ("no pod ever told its calls",)


def test_an_end_that_is_recorded_once_everywhere_is_well() -> None:
    assert verdict.ends([call()], ends()).wrong == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"taken": Counter()}, "end not taken in: 1, as CA1"),
        ({"taken": Counter({"CA1": 2})}, "end taken in more than once: 1, as CA1"),
        ({"taken": Counter({"CA1": 1, "CA2": 1})}, "recorded as ended, and was not: 1, as CA2"),
        ({"after": ("CA1",)}, "record after the end: 1, as CA1"),
        ({"stored": {"there": frozenset()}}, "not ended in Redis of there: 1, as CA1"),
    ],
)
def test_an_end_that_is_not_recorded_once_is_told(changed: dict[str, object], said: str) -> None:
    assert verdict.ends([call()], ends(**changed)).wrong == (said,)


def test_a_call_that_was_given_up_has_an_end_too_and_one_that_was_lost_has_none() -> None:
    lost = call("CA2", ended=Ended.LOST)
    given_up = call("CA2", ended=Ended.LOST, given_up=True)
    assert verdict.ends([call(), lost], ends()).wrong == ()
    assert "end not taken in: 1, as CA2" in verdict.ends([call(), given_up], ends()).wrong


def test_a_soak_in_which_no_call_ended_proves_nothing() -> None:
    found = verdict.ends([], ends(taken=Counter(), stored={}))

    assert found.wrong == ("no call was ended",)


def test_calls_are_excused_only_while_nobody_could_answer() -> None:
    lost = call(ended=Ended.LOST, why="given up", began=20 * SECOND, until=50 * SECOND)
    down = verdict.both_down([(0, 30 * SECOND)], [(25 * SECOND, 45 * SECOND), (90 * SECOND, 95 * SECOND)])

    assert down == [(25 * SECOND, 30 * SECOND)]
    assert verdict.calls([lost], down).wrong == ()
    assert verdict.calls([lost], []).wrong == ("lost: given up: 1",)


@pytest.mark.parametrize(("begins_s", "wrong"), [(29, ()), (41, ("CA1 heard no agent for 11.0 s",))])
def test_a_gap_is_excused_as_a_call_is(begins_s: int, wrong: tuple[str, ...]) -> None:
    mute = call(longest_gap_ns=11 * SECOND, gaps=((begins_s * SECOND, (begins_s + 11) * SECOND),))

    assert verdict.calls([mute], [(25 * SECOND, 30 * SECOND)]).wrong == wrong


def test_a_call_that_never_ended_or_heard_another_is_told() -> None:
    found = verdict.calls([call("CA1", ended=None), call("CA2", strange=4)], [])

    assert found.wrong == ("CA2 heard 4 frames of other calls", "CA1 never ended")


def test_a_world_that_was_late_itself_proves_nothing_of_a_bridge() -> None:
    assert verdict.world(500.0).wrong == ()
    assert verdict.world(501.0).wrong == ("501 ms behind: the machine had other work",)


def test_the_table_says_what_is_broken_and_why() -> None:
    told = verdict.table([verdict.log([]), verdict.book([], {"here": 1}, 3)]).splitlines()

    assert told[2:] == [
        "| log | 0 lines that should not be there | kept |",
        "| book | 3 looks, 0 with too many calls, 1 at last | broken |",
        "broken: book: 1 calls in here at last",
    ]


# --- what the pods wrote


def test_notes_are_told_apart() -> None:
    said = [
        {"at": 5.0, "tasks": 20},
        {"ended": "CA1", "epoch": 1, "seq": 9, "new": True},
        {"ended": "CA1", "epoch": 1, "seq": 9, "new": False},
        {"after": "CA1", "epoch": 1, "seq": 8},
    ]
    found = readings.notes(map(json.dumps, said))

    assert found == readings.Notes([(5.0, 20.0)], Counter({"CA1": 1}), 1, ["CA1"])


def test_errors_and_what_is_no_line_of_a_log_are_found() -> None:
    wrong = ['{"level": "error", "message": "x"}', "Traceback (most recent call last):", '"text"']
    lines = ['{"level": "info", "message": "serving"}', '{"level": "warning", "message": "provider lost"}', "", *wrong]

    assert readings.errors(lines) == wrong


def test_a_gauge_is_read_by_its_whole_name() -> None:
    told = "# TYPE a gauge\na_total 7.0\na 3.0\n"

    assert readings.gauge(told, "a") == 3.0
    with pytest.raises(LookupError, match="no b"):
        readings.gauge(told, "b")


# --- the whole of it


@pytest.mark.programs
async def test_the_end_of_every_call_is_seen_at_the_other_pod_and_in_both_redis(tmp_path: Path) -> None:
    seen = await run.run(Course(folder=tmp_path, seconds=3.0, calls=6, seed=1, quiet_s=2.0), tell=lambda _: None)
    calls = seen.book.calls

    assert {each.ended for each in calls} == {Ended.BY_CALLER, Ended.BY_AGENT}
    assert verdict.ends(calls, seen.ends).wrong == ()
    assert verdict.calls(calls, []).wrong == ()
    assert verdict.book(seen.surplus, seen.left, seen.looks).wrong == ()
    assert verdict.log(seen.errors).wrong == ()
    assert seen.fds.idle > 0
    assert seen.tasks.idle > 0

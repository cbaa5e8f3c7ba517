"""What the density of a bridge is measured with. How many calls it carries is the bench's to say, not a test's."""

from __future__ import annotations

import dataclasses
from binascii import a2b_base64, b2a_base64
from pathlib import Path

import numpy as np
import pytest

from holdfast_bridge.core import events as ev
from holdfast_bridge.legs import Started
from holdfast_bridge.legs.twilio import TwilioLeg
from holdfast_bridge.providers import openai_items
from holdfast_gameday.bench_bridge import results, shapes, subjects, table
from holdfast_gameday.bench_bridge.climb import Course, climb
from holdfast_gameday.bench_bridge.codings import FRAME_BYTES, Account, Bursts, Numbered
from holdfast_gameday.bench_bridge.results import Climb, Direction, Step

MS = 1_000_000
SECOND = 1000 * MS


def account() -> Account:
    made = Account()
    made.open(0, SECOND)
    return made


def step(calls: int = 50, *, p99_ms: float = 2.0, **changed: object) -> Step:
    well = Direction(sent=1000, lost=0, disorder=0, p50_ms=1.0, p99_ms=p99_ms)
    made = Step(
        calls=calls, seconds=10.0, up=well, down=well, lost_calls=0, why="", clock_late_ms=0.0,
        subject_cpu_s=calls / 100, generator_share=0.5, bytes_per_call=100_000.0,
    )  # fmt: skip
    return dataclasses.replace(made, **changed)  # type: ignore[arg-type]


# --- the account


def test_a_frame_is_as_long_as_the_carriers_and_comes_back_with_its_wait() -> None:
    seen = account()
    coding = Numbered(seen)

    sound = coding.say(7, 10 * MS)

    assert len(a2b_base64(sound)) == FRAME_BYTES
    assert coding.hear(sound, 13 * MS) == 7
    assert (seen.sent, seen.came, seen.lost, seen.disorder) == (1, 1, 0, 0)
    assert seen.wait_ms(0.99) == 3.0


def test_what_does_not_come_is_lost() -> None:
    seen = account()
    coding = Numbered(seen)
    coding.say(0, 0)
    coding.hear(coding.say(1, 20 * MS), 21 * MS)

    assert seen.lost == 1


@pytest.mark.parametrize("heard", [(0, 0), (1, 0)], ids=["twice", "backwards"])
def test_what_comes_twice_or_out_of_order_is_counted(heard: tuple[int, int]) -> None:
    seen = account()
    coding = Numbered(seen)
    said = [coding.say(number, number * 20 * MS) for number in range(2)]
    for number in heard:
        coding.hear(said[number], 50 * MS)

    assert seen.disorder == 1


def test_sound_that_a_bridge_has_touched_is_no_frame_of_ours() -> None:
    seen = account()

    Numbered(seen).hear(b2a_base64(b"\xfe" * FRAME_BYTES, newline=False), 0)
    Numbered(seen).hear(b"!", 0)

    assert (seen.came, seen.disorder) == (0, 2)


def test_frames_sent_outside_of_the_window_do_not_count() -> None:
    seen = account()
    coding = Numbered(seen)

    coding.hear(coding.say(0, SECOND), SECOND + MS)

    assert (seen.sent, seen.came) == (0, 0)


def test_a_burst_is_known_again_behind_a_resampler_and_counted_once() -> None:
    """Linear resampling of the square wave to 24 kHz, in two pieces as a resampler gives them out."""
    seen = account()
    to_provider = Bursts(seen, to_provider=True)
    to_provider.say(0, 0)
    loud = np.repeat(np.tile(np.repeat([30_000, -30_000], 8), 10), 3).astype("<i2").tobytes()

    to_provider.hear(b2a_base64(loud[:480]), 600 * MS)
    to_provider.hear(b2a_base64(loud[480:]), 610 * MS)
    to_provider.hear(b2a_base64(bytes(960)), 620 * MS)

    assert (seen.sent, seen.came, seen.wait_ms(0.5)) == (1, 1, 600.0)


def test_the_caller_knows_the_burst_that_a_provider_repeats() -> None:
    seen, loud = account(), b2a_base64(np.full(480, 30_000, dtype="<i2").tobytes())
    to_caller = Bursts(seen, to_provider=False)

    to_caller.repeat(loud, 0, 600 * MS)
    to_caller.hear(Bursts(Account(), to_provider=True).say(1, 0), 605 * MS)  # Silence.
    to_caller.hear(Bursts(Account(), to_provider=True).say(50, 0), 640 * MS)

    assert (seen.sent, seen.came, seen.wait_ms(0.5)) == (1, 1, 40.0)


# --- the messages


def test_the_bridge_understands_the_carrier() -> None:
    leg, sound = TwilioLeg(), b2a_base64(b"\xff" * 160, newline=False)
    assert leg.decode(shapes.CONNECTED) is None
    assert leg.decode(shapes.start("MZ1", "AC1", "CA1", {"token": "t"})) == Started("CA1", "AC1", "t")
    assert leg.decode(shapes.MEDIA % (2, 1, 0, sound, b"MZ1")) == ev.CallerAudio(b"\xff" * 160)
    assert leg.decode(shapes.MARK % (3, b"MZ1", b"m1")) == ev.CallerMark("m1")
    assert leg.decode(shapes.STOP % (4, b"MZ1", b"AC1", b"CA1")) == ev.CallerStop()


def test_the_bridge_understands_a_line_of_the_provider() -> None:
    incoming = openai_items.Incoming(audio="response.output_audio", transcript="response.output_audio_transcript")
    sound = b2a_base64(b"\xff" * 160, newline=False)
    said = [*shapes.line_begins(3), shapes.words(3, 0), shapes.DELTA % (1, 3, 3, sound), *shapes.line_ends(3, 1)]

    heard = [event for message in (shapes.session("updated"), *said) for event in incoming.decode(message)]

    item = "item_000000000003"
    assert heard == [
        ev.ProviderReady(),
        ev.ResponseStarted(),
        ev.ProviderTranscript(item, "I ", final=False),
        ev.ProviderAudio(item, b"\xff" * 160),
        ev.ProviderAudioDone(item),
        ev.ProviderTranscript(item, "I", final=True),
        ev.ResponseDone(ok=True, detail="completed"),
        ev.UserTurn("item_caller000003"),
        ev.UserTranscript("item_caller000003", "a table for eight on Friday evening, please", final=True),
    ]


# --- what is made of it


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"lost_calls": 2, "why": "closed with 1008"}, "2 calls lost: closed with 1008"),
        ({"up": Direction(sent=100, lost=3, disorder=0, p50_ms=1.0, p99_ms=2.0)}, "3 of 1100 frames lost"),
        ({"down": Direction(sent=0, lost=0, disorder=0, p50_ms=1.0, p99_ms=2.0)}, "nothing came through"),
        ({"down": Direction(sent=100, lost=0, disorder=4, p50_ms=1.0, p99_ms=2.0)}, "4 frames out of order"),
        ({"p99_ms": 10.1}, "p99 10.1 ms"),
        ({"generator_share": 0.81}, "the generator needs 81% of its core"),
    ],
)
def test_a_step_passes_only_if_nothing_is_lost_late_or_doubtful(changed: dict[str, object], said: str) -> None:
    assert step(**changed).missed == said  # type: ignore[arg-type]


def test_the_table_has_the_last_step_that_passed_and_a_dash_beyond() -> None:
    found = Climb(subject="one", steps=(step(50), step(100), step(200, p99_ms=30.0)), ended="p99 30.0 ms")
    row = table.markdown([found]).splitlines()[-1]

    assert row == "| one | 100 | p99 30.0 ms | 1.00 | 1000 | 100 kB | 1.00 / 2.00 ms | – | – |"


def test_what_never_passed_is_told_in_brackets() -> None:
    found = Climb(subject="slow", steps=(step(50, p99_ms=80.0),), ended="p99 80.0 ms")

    assert "| – | p99 80.0 ms | (1.00) | (1000) | (100 kB) | – |" in table.markdown([found])


def test_a_run_goes_on_with_what_was_measured(tmp_path: Path) -> None:
    found = {"one": Climb(subject="one", steps=(step(50),), ended="the last step")}
    results.save(tmp_path / "kept.json", found, {"cores": "2"})

    assert results.load(tmp_path / "kept.json") == found
    assert results.load(tmp_path / "none.json") == {}


# --- the whole of it


@pytest.mark.programs
@pytest.mark.parametrize("name", ["holdfast", "picows relay"])
async def test_every_frame_of_a_few_calls_is_accounted_for(name: str, tmp_path: Path) -> None:
    chosen = next(subject for subject in subjects.SUBJECTS if subject.name == name)
    few = dataclasses.replace(chosen, steps=(3,))
    course = Course(cache=tmp_path, folder=tmp_path, seconds=1.0, most_calls=3, calls_per_s=20.0)

    found = await climb(few, course, tell=lambda _: None)

    assert len(found.steps) == 1, found.ended
    (measured,) = found.steps
    assert measured.lost_calls == 0
    for direction in (measured.up, measured.down):
        assert direction.sent > 0
        assert (direction.lost, direction.disorder) == (0, 0)

"""The sound of the simulated GPT-Live: it never stops, keeps its pace, and is speech only while audio comes in."""

from dataclasses import replace

import pytest
from world_gpt_live import KEY, QUICK, LiveClient, agent_frames, caller, listening, serving, start

from holdfast_gameday.world import voice
from holdfast_gameday.world.gpt_live import GptLive
from holdfast_gameday.world.gpt_live_mouth import FRAME_MS, Mouth, Pace
from holdfast_gameday.world.vendor_faults import Fault

pytestmark = pytest.mark.contract
SECOND = 8_000


class Clockwork:
    """A mouth whose time is moved by hand, and when it sent what."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: list[tuple[float, object]] = []
        self.sent: list[float] = []
        self.words: list[dict] = []
        self.mouth = Mouth(
            speaker=7, pace=Pace(), clock=lambda: self.now, later=self.later, tick=lambda: None, begins=lambda: None,
            send_audio=lambda _: self.sent.append(self.now), send_words=self.words.append,
        )  # fmt: skip

    def later(self, delay_s, do):
        self.due.append((self.now + delay_s, do))
        return self

    def cancel(self) -> None:
        self.due.clear()

    def wake(self, *, late_s: float = 0.0) -> None:
        at, do = self.due.pop()
        self.now = at + late_s
        do()


def test_a_frame_goes_out_every_tenth_of_a_second() -> None:
    clock = Clockwork()
    clock.mouth.start()
    for _ in range(50):
        clock.wake()
    assert clock.sent[0] == pytest.approx(100.1)
    assert clock.sent[-1] == pytest.approx(105.0)


def test_what_a_busy_machine_is_late_is_made_up_so_that_a_line_is_not_drawn_out() -> None:
    clock = Clockwork()
    clock.mouth.start()
    for _ in range(50):
        clock.wake(late_s=0.03)
    assert clock.sent[-1] == pytest.approx(105.03)


def test_of_what_a_machine_missed_while_it_slept_no_more_than_a_second_is_made_up() -> None:
    clock = Clockwork()
    clock.mouth.start()
    clock.wake(late_s=60.0)
    for _ in range(20):
        clock.wake()
    assert sum(at < 160.15 for at in clock.sent) == 12
    assert clock.sent[-1] == pytest.approx(161.0)


def test_an_answer_begins_within_half_a_second_of_the_callers_last_sound() -> None:
    pace = Pace()
    assert pace.silence_ms / 1000 + pace.first_audio_s + FRAME_MS / 1000 <= 0.5
    assert pace.speed == 1.0


async def test_sound_comes_all_the_time_before_a_line_while_the_backend_works_and_while_a_tool_runs():
    vendor = GptLive(keys={KEY: "clinic"}, pace=replace(QUICK, backend_s=0.2))
    async with serving(vendor) as (_, address):
        client = await (await LiveClient.dial(address)).ready()
        await client.holds(lambda: len(client.audio) >= SECOND)
        client.speak(caller("book a table"))
        await client.until("session.delegation.created")
        works_from = len(client.audio)
        call = (await client.inner("response.output_item.done"), await client.inner("response.output_item.done"))[1]
        worked = len(client.audio) - works_from
        runs_from = len(client.audio)
        await client.holds(lambda: len(client.audio) >= runs_from + 3 * SECOND)
        output = {"type": "function_call_output", "call_id": call["item"]["call_id"], "output": '{"booking": "B7"}'}
        client.send("response.item.create", item=output)
        client.send("response.create")
        await client.until_said("booked B7")

    assert worked >= 2 * SECOND, "a fifth of a second at twenty times the pace is four"
    assert set(client.audio[:runs_from]) == {0xFF}


async def test_nothing_is_said_unless_audio_comes_in_and_as_much_as_came():
    async with serving(GptLive(keys={KEY: "clinic"}, pace=QUICK)) as (_, address):
        client = await LiveClient.dial(address)
        client.send("session.start", session=start())
        await client.until("session.started")
        client.send("session.commentary.append", content="Say exactly: Good morning!", delegation_id=None)
        await client.holds(lambda: len(client.audio) >= 3 * SECOND)
        assert set(client.audio) == {0xFF}
        client.append(voice.silence(5))
        await client.holds(lambda: agent_frames(client.audio))
        client.append(listening())
        await client.until_said("Good morning!")


async def test_a_line_is_one_utterance_that_carries_its_whole_text():
    async with serving(GptLive(keys={KEY: "clinic"}, pace=QUICK)) as (_, address):
        client = await (await LiveClient.dial(address)).ready()
        text = "おはようございます。こちらは予約受付です。ご用件をどうぞ。"
        client.send("session.commentary.append", content=f"Say exactly: {text}", delegation_id=None)
        await client.until_said(text)

    frames = agent_frames(client.audio)
    assert {(frame.utterance, frame.text) for frame in frames} == {(1, text)}
    assert len(frames) == frames[0].total


async def test_a_line_goes_on_after_a_start_that_took_its_time():
    async with serving(GptLive(keys={KEY: "clinic"}, pace=replace(QUICK, start_s=0.1))) as (_, address):
        client = await LiveClient.dial(address)
        client.send("session.start", session=start())
        await client.until("session.started")
        assert client.audio == b""
        await client.holds(lambda: client.audio)


async def test_an_error_while_the_model_speaks_ends_its_line_where_it_is():
    async with serving(GptLive(keys={KEY: "clinic"}, pace=QUICK)) as (sockets, address):
        client = await (await LiveClient.dial(address)).ready()
        sockets.inject(Fault(kind="error", at="speaking"))
        client.speak(caller("tell me more 1"))
        failed = await client.until("error")
        before = len(client.audio)
        await client.holds(lambda: client.audio[before:].endswith(b"\xff" * SECOND))

    assert failed["error"]["code"] == "internal_error"
    assert not agent_frames(client.audio)[-1].last

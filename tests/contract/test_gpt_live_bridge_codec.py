"""The bridge's own GPT-Live dialect against the simulated API: what it sends is accepted, what it is sent it reads."""

import asyncio
from dataclasses import replace

import pytest
from control_builders import built
from world_gpt_live import KEY, QUICK, CodecLink, caller, serving

from holdfast_bridge import provider_link, speech_codecs
from holdfast_bridge.agent_config import Attempt
from holdfast_bridge.core import events as ev
from holdfast_bridge.providing import ForCall, SocketProvider
from holdfast_gameday.world import voice
from holdfast_gameday.world.gpt_live import GptLive
from holdfast_gameday.world.gpt_live_mouth import Pace
from holdfast_gameday.world.vendor_faults import Fault

pytestmark = pytest.mark.contract
HISTORY = (
    ev.SeedText("user", "my code is 4711"),
    ev.SeedText("assistant", "you said: my code is 4711"),
    ev.SeedText("system", "The caller is at home."),
    ev.SeedTool("call_9", "book", "{}", '{"booking": "B1001"}'),
)


@pytest.fixture
async def world():
    vendor = GptLive(keys={KEY: "clinic"}, pace=QUICK, record_events=True)
    async with serving(vendor) as (sockets, address):
        yield sockets, address
    assert [event for event in vendor.events if event["type"] == "error"] == []


def _kinds(bridge: CodecLink, *without: type) -> list[type]:
    """In which order things were told, a run of one kind counted once."""
    kinds = [type(event) for event in bridge.told if not isinstance(event, without)]
    return [kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] is not kind]


async def test_a_spoken_question_is_answered(world):
    _, address = world
    bridge = await CodecLink.begin(address)
    bridge.speak(caller("hello there"))
    await bridge.until(ev.ResponseDone)

    assert bridge.turns() == ["hello there"]
    assert bridge.lines() == ["you said: hello there"]
    assert bridge.heard()[-1].last
    assert _kinds(bridge, ev.UserTranscript, ev.ProviderTranscript) == [
        ev.ProviderReady, ev.SpeechStarted, ev.UserTurn, ev.SpeechStopped, ev.ResponseStarted, ev.ProviderAudio,
        ev.ProviderAudioDone, ev.ResponseDone,
    ]  # fmt: skip


async def test_silence_between_lines_is_not_told(world):
    _, address = world
    bridge = await CodecLink.begin(address)
    bridge.tell(ev.Respond("Say exactly: One.", "One."))
    await bridge.until(ev.ResponseDone, count=1)
    bridge.tell(ev.Respond("Say exactly: Two.", "Two."))
    await bridge.until(ev.ResponseDone, count=2)

    assert bridge.lines() == ["One.", "Two."]
    sound = [frame for frame in bridge.heard() if frame.text == "One."]
    assert len(sound) == sound[0].total
    # A line of 300 ms is told with the silence that ended it, and no more than that.
    first = sum(len(event.payload) for event in bridge.of(ev.ProviderAudio) if event.item == "line1")
    assert 300 * 8 <= first <= 1_200 * 8


@pytest.mark.parametrize("late", [False, True], ids=["at the start", "while it runs"])
async def test_seeded_facts_are_known_whenever_they_are_seeded(world, late):
    _, address = world
    bridge = await CodecLink.begin(address, *(() if late else HISTORY))
    bridge.tell(ev.SeedConversation(HISTORY))
    bridge.speak(caller("what is my code"))
    await bridge.until_line("your code is 4711")


@pytest.mark.parametrize("late", [False, True], ids=["at the start", "while it runs"])
async def test_a_question_that_a_lost_provider_left_open_is_answered(world, late):
    _, address = world
    open_question = (*HISTORY, ev.SeedText("user", "what is my code"))
    bridge = await CodecLink.begin(address, *(() if late else open_question))
    bridge.tell(ev.SeedConversation(open_question), ev.Respond())
    await bridge.until_line("your code is 4711")


@pytest.mark.parametrize("late", [False, True], ids=["at the start", "while it runs"])
async def test_what_a_tool_did_for_a_lost_provider_is_told_to_the_caller(world, late):
    sockets, address = world
    done = (ev.SeedText("user", "book a table"), ev.SeedTool("call_9", "book", "{}", '{"booking": "B1001"}'))
    bridge = await CodecLink.begin(address, *(() if late else done))
    bridge.tell(ev.SeedConversation(done), ev.Respond())
    await bridge.until_line("booked B1001")

    assert sockets.sessions[0].delegations == 0


async def test_a_tool_runs_once_and_its_result_is_spoken(world):
    sockets, address = world
    bridge = await CodecLink.begin(address)
    bridge.speak(caller("book a table"))
    call = await bridge.until(ev.ToolCall)
    bridge.tell(ev.ToolOutput(call.id, '{"booking": "B7"}'), ev.Respond())
    await bridge.until_line("booked B7")

    assert bridge.of(ev.ToolCall) == [ev.ToolCall(call.id, "book", '{"wish": "a table"}')]
    assert sockets.sessions[0].delegations == 1


async def test_a_result_that_comes_while_the_model_speaks_needs_no_second_request():
    pace = replace(QUICK, backend_s=0.03)
    vendor = GptLive(keys={KEY: "clinic"}, pace=pace, acknowledgement="One moment please, I am looking. " * 4)
    async with serving(vendor) as (_, address):
        bridge = await CodecLink.begin(address)
        bridge.speak(caller("book a table"))
        call = await bridge.until(ev.ToolCall)
        bridge.tell(ev.ToolOutput(call.id, '{"booking": "B7"}'))
        await bridge.holds(lambda: "booked B7" in " ".join(bridge.lines()))

    told = [kind for kind in _kinds(bridge) if kind in (ev.ToolCall, ev.ResponseStarted, ev.ResponseDone)]
    assert told[:4] == [ev.ResponseStarted, ev.ToolCall, ev.ResponseStarted, ev.ResponseDone]


async def test_a_goodbye_is_said_before_the_call_is_ended(world):
    _, address = world
    bridge = await CodecLink.begin(address)
    bridge.speak(caller("goodbye"))
    await bridge.until_line("goodbye")

    assert (await bridge.until(ev.ToolCall)).name == "end_call"


async def test_barge_in_ends_the_line_where_the_model_stopped(world):
    _, address = world
    bridge = await CodecLink.begin(address)
    bridge.speak(caller("tell me more 1"))
    await bridge.holds(lambda: len(bridge.heard()) >= 40)
    bridge.speak(voice.encode_utterance(voice.Speaker.CALLER, 1, 2, "please stop it now"))
    done = await bridge.until(ev.ResponseDone)

    assert done == ev.ResponseDone(ok=True, detail="interrupted")
    assert not bridge.heard()[-1].last
    assert bridge.lines()[0] in "here is more, part 1: the line stays open and the story goes on"
    after = bridge.told[bridge.told.index(ev.SpeechStarted(), bridge.told.index(ev.ResponseStarted())) :]
    assert [type(event) for event in after[:4]] == [
        ev.SpeechStarted, ev.ProviderAudioDone, ev.ProviderTranscript, ev.ResponseDone,
    ]  # fmt: skip


async def test_what_is_said_in_japanese_is_cut_nowhere_within_a_character(world):
    _, address = world
    bridge = await CodecLink.begin(address)
    bridge.speak(caller("こんにちは。明日の午後は空いていますか"))
    await bridge.until(ev.ResponseDone)

    assert bridge.turns() == ["こんにちは。明日の午後は空いていますか"]
    assert bridge.lines() == ["こうおっしゃいました、こんにちは。明日の午後は空いていますか"]


@pytest.mark.parametrize(
    ("fault", "lost"),
    [
        (Fault(kind="error", error_type="server_error", error_code="internal_error"), "internal_error"),
        (Fault(kind="error", error_type="invalid_request_error", error_code="credit_balance_exhausted"), "quota"),
        (Fault(kind="error", error_type="rate_limit_error", error_code="rate_limit_exceeded"), "rate"),
    ],
)
async def test_an_error_of_the_server_or_of_the_account_loses_the_provider(fault, lost):
    async with serving(GptLive(keys={KEY: "clinic"}, pace=QUICK)) as (sockets, address):
        bridge = await CodecLink.begin(address)
        sockets.inject(fault)
        bridge.speak(caller("hello there"))
        assert (await bridge.until(ev.ProviderLost)).reason == lost


async def test_a_session_that_expires_loses_the_provider():
    async with serving(GptLive(keys={KEY: "clinic"}, pace=QUICK, session_s=0.05)) as (_, address):
        bridge = await CodecLink.begin(address)
        assert await bridge.until(ev.ProviderLost) == ev.ProviderLost("session_expired")


async def test_noise_on_the_link_harms_nothing(world):
    sockets, address = world
    bridge = await CodecLink.begin(address)
    sockets.inject(Fault(kind="garbage"))
    sockets.inject(Fault(kind="unknown"))
    bridge.speak(caller("hello there"))
    await bridge.until_line("you said: hello there")


async def test_a_backend_that_fails_after_a_tool_loses_the_provider():
    async with serving(GptLive(keys={KEY: "clinic"}, pace=QUICK)) as (sockets, address):
        bridge = await CodecLink.begin(address)
        bridge.speak(caller("book a table"))
        call = await bridge.until(ev.ToolCall)
        sockets.inject(Fault(kind="error", error_code="server_error"))
        bridge.tell(ev.ToolOutput(call.id, '{"booking": "B7"}'), ev.Respond())
        await bridge.holds(lambda: ev.ResponseDone(ok=False, detail="server_error") in bridge.told)


class Bridge:
    """A provider as the shell of a call holds it: told what comes, and when it is lost."""

    def __init__(self) -> None:
        self.told: list[ev.Event] = []
        self.ready = asyncio.Event()
        self.loss: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def open(self, address: str, **changes: object) -> None:
        given = {"name": "a", "kind": "gpt-live", "model": "gpt-live-1", "options": {"backendModel": "gpt-5.5"}}
        attempt = Attempt(**{**given, "base_url": f"ws://{address}/v1/live/sessions", **changes})
        asked = ForCall("CA1", (), self._heard, lambda word, _: self.loss.set_result(word), asyncio.ensure_future)
        self.provider = SocketProvider(speech_codecs.codec_for(attempt, built()), asked)
        url, headers = speech_codecs.address(attempt, built(), KEY)
        on_lost = lambda word, _: self.loss.set_result(word)  # noqa: E731
        self.provider.joined(
            await provider_link.dial(url, headers, on_message=self.provider.heard, on_lost=on_lost)
        )
        self.provider.begin()
        await self.ready.wait()

    def _heard(self, said) -> None:
        self.told += said
        if ev.ProviderReady(attentive=False) in self.told:
            self.ready.set()


@pytest.mark.parametrize(
    ("vendor", "path", "changes"),
    [
        ({}, "/v1/live/sessions", {}),
        (
            {"azure": True, "models": ["voice"], "backends": ["mind"]},
            "/openai/v1/live/sessions",
            {"model": "voice", "options": {"backendModel": "mind"}},
        ),
    ],
    ids=["openai", "azure"],
)
async def test_an_attempt_reaches_either_vendor_with_the_header_that_it_takes(vendor, path, changes):
    async with asyncio.timeout(30), serving(GptLive(keys={KEY: "clinic"}, pace=QUICK, **vendor)) as (_, address):
        bridge = Bridge()
        await bridge.open(address, base_url=f"ws://{address}{path}", **changes)
        bridge.provider.close()


async def test_a_session_that_starts_late_is_no_stall_and_one_that_falls_mute_is():
    async with asyncio.timeout(30), serving(GptLive(keys={KEY: "c"}, pace=Pace(start_s=1.2))) as (sockets, address):
        bridge = Bridge()
        await bridge.open(address)
        assert not bridge.loss.done()
        sockets.inject(Fault(kind="stall"))
        assert await bridge.loss == "stall"
        bridge.provider.close()

"""The bridge's own Gemini dialect against the simulated API: what it sends is accepted, what it is sent it reads."""

import time

import pytest
from world_gemini import KEY, SLOWLY, TOKEN, Call, live, serving

from holdfast_bridge.core import events as ev
from holdfast_bridge.providers.gemini_session import Asks, Vertex
from holdfast_gameday.world.gemini_session import Limits
from holdfast_gameday.world.speaking_sound import Pace
from holdfast_gameday.world.vendor_faults import Fault

pytestmark = pytest.mark.contract
VERTEX = Vertex("clinic", "europe-west4")
SEEDS = (
    ev.SeedText("user", "my code is 4711"),
    ev.SeedText("assistant", "you said: my code is 4711"),
    ev.SeedText("user", "book a table"),
    ev.SeedTool("1.1.c", "book", '{"wish":"a table"}', '{"booking":"B1001"}'),
    ev.SeedText("assistant", "booked B1001"),
)
NO_CONTENT = {"model": "gemini-3.1-flash-live-preview", "asks": Asks.REALTIME_TEXT}
KINDS = [
    pytest.param({}, KEY, id="developer"),
    pytest.param({"vertex": VERTEX, "vad_signals": True}, TOKEN, id="vertex"),
    pytest.param(NO_CONTENT, KEY, id="no-content"),
]


def _is(kind: type) -> object:
    return lambda event: isinstance(event, kind)


@pytest.mark.parametrize(("changes", "secret"), KINDS)
async def test_a_conversation_taken_up_goes_on_where_it_was(changes, secret):
    async with serving() as server:
        call = await Call.connect(server.address, live(**changes), secret=secret)
        call.tell(ev.SeedConversation(SEEDS), ev.Respond("Say exactly: I am back."))
        await call.answered()
        call.speak("what is my code")
        await call.answered()
        turns = server.session.turns
        call.leave()

    assert call.lines() == ["I am back.", "your code is 4711"]
    assert call.heard() == ["I am back.", "your code is 4711"]
    assert call.turns() == ["what is my code"]
    assert turns == 2
    assert call.close is None


@pytest.mark.parametrize(("changes", "secret"), KINDS)
async def test_what_was_known_at_the_setup_need_not_be_told_again(changes, secret):
    async with serving() as server:
        call = await Call.connect(server.address, live(**changes), secret=secret, past=SEEDS)
        call.tell(ev.SeedConversation(SEEDS))
        call.speak("what is my code")
        await call.answered()
        call.leave()

    assert call.heard() == ["your code is 4711"]


@pytest.mark.parametrize("text", ["können Sie mir bitte sagen, " * 9 + "ja", "ご予約は何時がよろしいですか、" * 9])
async def test_a_long_line_is_one_utterance_in_any_language(text):
    async with serving() as server:
        call = await Call.connect(server.address, live())
        call.tell(ev.Respond(f"Say exactly: {text}"))
        await call.answered()
        call.leave()

    assert call.heard() == [text]
    assert call.lines() == [text]


async def test_the_first_sound_comes_soon_after_the_callers_turn():
    async with serving(pace=Pace()) as server:
        call = await Call.connect(server.address, live())
        call.tell(ev.SeedConversation(SEEDS))
        call.speak("what is my code")
        asked_at = time.monotonic()
        await call.until(_is(ev.ProviderAudio))
        took_s = time.monotonic() - asked_at
        call.leave()

    assert took_s < 2


@pytest.mark.parametrize(("changes", "secret"), KINDS)
async def test_a_new_call_is_greeted_and_answered(changes, secret):
    async with serving() as server:
        call = await Call.connect(server.address, live(**changes), secret=secret)
        call.tell(ev.Respond("Say exactly: Grüß Gott"))
        await call.answered()
        call.speak("guten Morgen, können Sie mich hören")
        await call.answered()
        call.leave()

    assert call.heard() == ["Grüß Gott", "Sie sagten: guten Morgen, können Sie mich hören"]
    assert call.turns() == ["guten Morgen, können Sie mich hören"]


async def test_a_call_in_which_the_caller_speaks_first_is_heard_from_the_first_word():
    async with serving() as server:
        call = await Call.connect(server.address, live())
        call.speak("こんにちは")
        await call.answered()
        call.leave()

    assert call.turns() == ["こんにちは"]
    assert call.heard() == ["こうおっしゃいました、こんにちは"]


@pytest.mark.parametrize("changes", [{}, {"tool_behavior": "BLOCKING"}, NO_CONTENT])
async def test_a_tool_is_called_once_and_its_result_is_told_unasked(changes):
    async with serving() as server:
        call = await Call.connect(server.address, live(**changes))
        call.tell(ev.SeedConversation(SEEDS[:2]))
        call.speak("book monday")
        asked = await call.until(_is(ev.ToolCall))
        call.tell(ev.ToolOutput(asked.id, '{"booking":"B7"}'), ev.Respond())
        await call.answered()
        responses, turns = server.session.responses, server.session.turns
        call.leave()

    assert (asked.name, asked.arguments) == ("book", '{"wish":"monday"}')
    assert call.heard() == ["booked B7"]
    assert not [event for event in call.events if isinstance(event, ev.UserTurn)][1:]
    assert responses == [asked.id]
    assert turns == 2
    assert [event for event in call.events if isinstance(event, ev.ToolCall)] == [asked]


async def test_a_tool_whose_caller_spoke_again_is_told_with_the_next_question():
    async with serving() as server:
        call = await Call.connect(server.address, live())
        call.tell(ev.SeedConversation(SEEDS[:2]))
        call.speak("book monday")
        asked = await call.until(_is(ev.ToolCall))
        call.speak("what is my code", 2)
        await call.answered()
        call.tell(ev.ToolOutput(asked.id, '{"booking":"B7"}'), ev.Respond())
        await call.answered()
        cancelled, responses = server.session.cancelled, server.session.responses
        call.leave()

    assert call.heard() == ["your code is 4711", "booked B7"]
    assert cancelled == [asked.id]
    assert responses == []


async def test_a_model_that_bears_no_sound_during_a_tool_is_spared_it():
    model = "gemini-live-2.5-flash-native-audio"
    async with serving() as server:
        spared = await Call.connect(
            server.address, live(model=model, vertex=VERTEX, mute_during_tools=True), secret=TOKEN
        )
        spared.speak("book monday")
        asked = await spared.until(_is(ev.ToolCall))
        spared.speak("what did I say", 2)
        spared.tell(ev.ToolOutput(asked.id, "B7"), ev.Respond())
        await spared.answered()
        spared.leave()
        bothered = await Call.connect(server.address, live(model=model, vertex=VERTEX), secret=TOKEN)
        bothered.speak("book monday")
        await bothered.until(_is(ev.ToolCall))
        bothered.speak("hello", 2)
        await bothered.until(lambda _: False)

    assert spared.heard() == ["booked B7"]
    assert spared.close is None
    assert bothered.close == (1008, "Operation is not implemented, or supported, or enabled.")


async def test_a_caller_who_speaks_over_the_agent_silences_it_and_is_answered():
    async with serving(pace=SLOWLY) as server:
        call = await Call.connect(server.address, live())
        call.tell(ev.Respond("Say exactly: hello"))
        await call.answered()
        call.speak("tell me more 7")
        await call.until(_is(ev.ProviderAudio))
        call.speak("my code is 12", 2)
        await call.until(_is(ev.SpeechStarted))
        heard_before = len(call.ulaw)
        await call.answered()
        call.leave()

    assert call.heard() == ["hello", "you said: my code is 12"]
    assert heard_before < 8_000 * 2
    assert call.turns() == ["tell me more 7", "my code is 12"]
    cancelled = [event.detail for event in call.events if isinstance(event, ev.ResponseDone)]
    assert cancelled == ["completed", "cancelled", "completed"]


async def test_a_caller_who_may_not_interrupt_is_answered_afterwards():
    async with serving(pace=SLOWLY) as server:
        call = await Call.connect(server.address, live(barge_in=False))
        call.tell(ev.Respond("Say exactly: one moment please"))
        await call.until(_is(ev.ProviderAudio))
        call.speak("my code is 12")
        await call.answered()
        await call.answered()
        call.leave()

    assert call.heard() == ["one moment please", "you said: my code is 12"]
    assert not [event for event in call.events if isinstance(event, ev.SpeechStarted)]


async def test_on_vertex_the_callers_speech_is_seen_to_begin_and_end():
    async with serving() as server:
        call = await Call.connect(server.address, live(vertex=VERTEX, vad_signals=True), secret=TOKEN)
        call.speak("hello")
        await call.answered()
        call.leave()

    seen = [type(event) for event in call.events]
    assert seen.index(ev.SpeechStarted) < seen.index(ev.SpeechStopped) < seen.index(ev.ResponseStarted)


async def test_the_end_of_the_connection_is_announced():
    async with serving(limits=Limits(life_s=0.4, notice_s=0.3)) as server:
        call = await Call.connect(server.address, live())
        await call.until(lambda _: False)

    assert ev.ProviderEnding(0.3) in call.events
    assert call.close == (1008, "The operation was aborted.")


async def test_a_session_is_resumed_by_its_handle_without_being_told_again():
    async with serving() as server:
        first = await Call.connect(server.address, live())
        first.tell(ev.SeedConversation(SEEDS), ev.Respond("Say exactly: hello"))
        await first.answered()
        await first.becomes(lambda codec: codec.resumption)
        first.leave()
        second = await Call.connect(server.address, live(resume=first.codec.resumption))
        second.tell(ev.SeedConversation(SEEDS))
        second.speak("what is my code")
        await second.answered()
        second.leave()
        gone = await Call.connect(server.address, live(resume="handle-of-yesterday"))

    assert second.heard() == ["your code is 4711"]
    assert gone.close == (1008, "BidiGenerateContent session not found")


@pytest.mark.parametrize(
    ("changes", "secret", "close"),
    [
        ({}, "AIza-wrong", (1007, "API key not valid. Please pass a valid API key.")),
        ({"model": "gemini-9"}, KEY, (1008, "models/gemini-9 is not found for API version v1beta, or is not")),
        ({"generation": {"tempreature": 1}}, KEY,
         (1007, "Invalid JSON payload received. Unknown name \"tempreature\" at 'setup.generation_config'")),
    ],
)  # fmt: skip
async def test_what_the_vendor_does_not_take_closes_the_link_in_its_words(changes, secret, close):
    async with serving() as server:
        call = await Call.connect(server.address, live(**changes), secret=secret)

    assert call.events == []
    assert call.close is not None
    assert (call.close[0], call.close[1][: len(close[1])]) == close


@pytest.mark.parametrize(
    ("code", "reason"), [("internal_error", "Internal error encountered."), ("insufficient_quota", "You exceeded your")]
)
async def test_an_error_on_demand_closes_the_link(code, reason):
    async with serving() as server:
        call = await Call.connect(server.address, live())
        server.sockets.inject(Fault(kind="error", error_code=code))
        call.tell(ev.Respond("Say exactly: hello"))
        await call.until(lambda _: False)

    assert call.close is not None
    assert call.close[0] == 1011
    assert call.close[1].startswith(reason)


async def test_a_fault_strikes_when_the_agent_speaks():
    async with serving() as server:
        call = await Call.connect(server.address, live())
        server.sockets.inject(Fault(kind="close", at="speaking", code=1011, reason="on demand"))
        call.tell(ev.Respond("Say exactly: hello"))
        await call.until(lambda _: False)

    assert call.close == (1011, "on demand")
    assert call.ulaw


async def test_a_fault_strikes_when_a_tool_was_called():
    async with serving() as server:
        call = await Call.connect(server.address, live())
        server.sockets.inject(Fault(kind="close", at="tool", code=1011, reason="on demand"))
        call.speak("book monday")
        await call.until(lambda _: False)

    assert call.close == (1011, "on demand")
    assert [event.name for event in call.events if isinstance(event, ev.ToolCall)] == ["book"]


async def test_garbage_and_the_unheard_of_are_survived():
    async with serving() as server:
        call = await Call.connect(server.address, live())
        server.sockets.inject(Fault(kind="garbage"))
        server.sockets.inject(Fault(kind="unknown"))
        call.tell(ev.Respond("Say exactly: hello"))
        await call.answered()
        call.leave()

    assert call.heard() == ["hello"]

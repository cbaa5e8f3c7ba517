"""What the simulated ElevenLabs refuses, and its rules of time and contexts, on a wire whose time is moved by hand."""

import pytest
from world_speaking import CALM, KEY, HandWire, asked, spoken

from holdfast_bridge.providers.elevenlabs import ElevenLabsSpeaking, ElevenLabsVoice, headers
from holdfast_gameday.world import elevenlabs as simulated
from holdfast_gameday.world.vendor_sockets import Answer

pytestmark = pytest.mark.contract
VOICE = ElevenLabsVoice(voice="v1", stability=0.5)
PLAIN = "wss://x/v1/text-to-speech/v1/multi-stream-input?output_format=ulaw_8000"


def _by_hand(url: str = PLAIN, **options) -> HandWire:
    vendor = simulated.ElevenLabs(keys={KEY: "clinic"}, pace=CALM, **options)
    return HandWire().open(vendor.admit(asked(url, headers(KEY))))


# --- what the vendor refuses, and its rules of time and contexts


@pytest.mark.parametrize(
    ("url", "key", "status"),
    [
        ("wss://x/v1/text-to-speech/v1/multi-stream?output_format=ulaw_8000", KEY, 404),
        ("wss://x/v1/user/subscription", "wrong", 401),
        (f"{PLAIN}&modle_id=x", KEY, 400),
        (f"{PLAIN}&model_id=eleven_v3", KEY, 403),
        (f"{PLAIN}&model_id=sonic-3", KEY, 400),
        (f"{PLAIN}&auto_mode=yes", KEY, 400),
        (f"{PLAIN}&inactivity_timeout=181", KEY, 400),
        ("wss://x/v1/text-to-speech/v1/multi-stream-input", KEY, 400),
    ],
)
def test_what_the_vendor_would_refuse_is_refused(url, key, status):
    answer = simulated.ElevenLabs(keys={KEY: "clinic"}).admit(asked(url, headers(key)))
    assert isinstance(answer, Answer)
    assert answer.status == status


@pytest.mark.parametrize("message", [b"{", b"[]", b'{"text":7}', b'{"text":" ","contextid":"a"}', b"\xff"])
def test_a_message_the_vendor_does_not_know_ends_the_link(message):
    wire = _by_hand()
    wire.session.receive(message, binary=False)
    assert wire.kinds("error") == ["invalid_input_message"]
    assert wire.left[1] == 1008
    assert wire.waiting == 0


def test_a_socket_that_is_silent_for_twenty_seconds_is_dropped():
    wire = _by_hand()
    wire.send(text=" ", context_id="a")
    wire.advance(20.0)
    assert wire.kinds("error") == ["input_timeout_exceeded"]
    assert wire.left[:2] == (20.0, 1008)
    assert len(wire.left[2].encode()) <= 123


def test_our_keep_alive_holds_a_socket_open_without_opening_contexts():
    wire = _by_hand()
    codec = ElevenLabsSpeaking(VOICE)
    for _ in range(8):
        wire.give(codec.keep_alive())
        wire.advance(codec.keep_alive_s)
    assert wire.left is None
    for line in ("a1", "a2", "a3", "a4", "a5"):
        wire.give(codec.say(line, "Hello "))
    wire.give(codec.keep_alive())
    assert wire.left is None


def test_a_sixth_context_ends_the_link_as_long_as_five_are_not_done():
    wire = _by_hand()
    for name in "abcde":
        wire.send(text="Hello.", context_id=name, flush=True)
    wire.send(context_id="a", close_context=True)
    wire.send(text=" ", context_id="f")
    assert wire.kinds("error") == ["max_active_conversations"]
    assert wire.left[1] == 1008


def test_a_flush_for_a_context_nobody_opened_opens_one():
    wire = _by_hand()
    for name in "abcdef":
        wire.send(context_id=name, flush=True)
    assert wire.kinds("error") == ["max_active_conversations"]


def test_the_settings_of_a_voice_may_not_change_within_a_context():
    wire = _by_hand()
    wire.send(text=" ", context_id="a", voice_settings={"speed": 1.0})
    wire.send(text="Hello ", context_id="a", voice_settings={"speed": 1.0})
    assert wire.left is None
    wire.send(text="there ", context_id="a", voice_settings={"speed": 1.1})
    assert wire.left[1] == 1008


def test_a_context_is_complete_only_when_it_was_closed():
    wire = _by_hand()
    wire.send(text="Hello.", context_id="a", flush=True)
    wire.advance(5.0)
    assert wire.sounds
    assert wire.kinds("isFinal") == []
    wire.send(context_id="a", close_context=True)
    assert wire.kinds("isFinal") == [True]


def test_a_flushed_context_sounds_to_its_end_after_it_was_closed_and_another_does_not():
    wire = _by_hand(f"{PLAIN}&auto_mode=true")
    wire.send(text="x" * 40, context_id="a", flush=True)
    wire.send(text="Hello there. ", context_id="b")
    wire.send(context_id="a", close_context=True)
    wire.send(context_id="b", close_context=True)
    wire.advance(5.0)
    assert [message["contextId"] for _, message in wire.said] == ["b", *["a"] * 5]
    assert spoken(b"".join(sound for _, sound in wire.sounds)) == ["x" * 40]


def test_in_auto_mode_text_is_spoken_as_it_comes():
    wire = _by_hand(f"{PLAIN}&auto_mode=true")
    for text in (" ", "That costs 12.50, ", "I think.再见。"):
        wire.send(text=text, context_id="a")
        wire.advance(5.0)
    assert spoken(b"".join(sound for _, sound in wire.sounds)) == ["That costs 12.50,", "I think.再见。"]
    assert [moment for _, moment in wire.moments] == ["speaking"]


def test_without_auto_mode_text_is_collected_as_the_schedule_says():
    wire = _by_hand()
    wire.send(text=" ", context_id="a", generation_config={"chunk_length_schedule": [50, 80]})
    wire.send(text="x" * 47 + " ", context_id="a")
    wire.advance(5.0)
    assert wire.sounds == []
    wire.send(text="y ", context_id="a")
    wire.advance(5.0)
    first = len(wire.sounds)
    assert first > 0
    wire.send(text="z" * 60, context_id="a")
    wire.advance(5.0)
    assert len(wire.sounds) == first


def test_the_times_of_characters_come_with_each_message_or_with_the_first_of_a_segment():
    plain, each = _by_hand(), _by_hand(f"{PLAIN}&sync_alignment=true")
    for wire in (plain, each):
        wire.send(text="x" * 40, context_id="a", flush=True)
        wire.advance(5.0)
    lengths = [len((message["alignment"] or {"chars": ""})["chars"]) for _, message in plain.said]
    assert lengths == [40, 0, 0, 0]
    assert [len(message["alignment"]["chars"]) for _, message in each.said] == [10, 10, 10, 10]
    assert [message["alignment"]["charStartTimesMs"][0] for _, message in each.said] == [0, 0, 0, 0]


def test_a_socket_that_is_asked_to_close_speaks_what_was_flushed_first():
    wire = _by_hand()
    wire.send(text="Hello.", context_id="a", flush=True)
    wire.send(close_socket=True)
    assert wire.left is None
    wire.advance(5.0)
    assert wire.kinds("isFinal") == [True]
    assert wire.left[1] == 1000

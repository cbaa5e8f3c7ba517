"""What the simulated Cartesia refuses, and its rules of time and contexts, on a wire whose time is moved by hand."""

import pytest
from world_speaking import CALM, KEY, HandWire, asked, spoken

from holdfast_bridge.providers.cartesia import CartesiaVoice, headers, link_url
from holdfast_gameday.world import cartesia as simulated
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import Admitted, Answer

pytestmark = pytest.mark.contract
VOICE = CartesiaVoice(voice="v1")
ASKED = {
    "model_id": "sonic-3",
    "voice": {"mode": "id", "id": "v1"},
    "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000},
}


def _by_hand(vendor: simulated.Cartesia | None = None, *, late_s: float = 0.0) -> HandWire:
    vendor = vendor or simulated.Cartesia(keys={KEY: "clinic"}, pace=CALM)
    return HandWire(late_s=late_s).open(vendor.admit(asked(link_url("wss://x", VOICE, {}), headers(KEY))))


def _input(wire: HandWire, context: str, text: str, **more: object) -> None:
    wire.send(**{**ASKED, "context_id": context, "transcript": text, "continue": True, **more})


def _ended(wire: HandWire) -> list[tuple[str, str]]:
    return [(said["type"], said["context_id"]) for _, said in wire.said if said["type"] in ("done", "error")]


# --- what the vendor refuses, and its rules of time and contexts


@pytest.mark.parametrize(
    ("url", "sent", "status"),
    [
        ("wss://x/tts/sockets", headers(KEY), 404),
        ("wss://x/tts/websocket", headers("wrong"), 401),
        ("wss://x/tts/websocket?api_key=wrong&cartesia_version=2026-03-01", {}, 401),
        ("wss://x/tts/websocket", {"Authorization": f"Bearer {KEY}"}, 400),
        ("wss://x/tts/websocket?encoding=pcm_mulaw", headers(KEY), 400),
    ],
)
def test_what_the_vendor_would_refuse_is_refused(url, sent, status):
    answer = simulated.Cartesia(keys={KEY: "clinic"}).admit(asked(url, sent))
    assert isinstance(answer, Answer)
    assert answer.status == status


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("wss://x/tts/websocket", {"X-API-Key": KEY, "Cartesia-Version": "2026-03-01"}),
        (f"wss://x/tts/websocket?api_key={KEY}&cartesia_version=2026-03-01", {}),
    ],
)
def test_a_key_is_taken_in_each_of_its_places(url, sent):
    assert isinstance(simulated.Cartesia(keys={KEY: "clinic"}).admit(asked(url, sent)), Admitted)


def test_sockets_are_limited_to_ten_for_each_context():
    vendor = simulated.Cartesia(keys={KEY: "clinic"}, pace=CALM, limit=1)
    wires = [_by_hand(vendor) for _ in range(10)]
    answer = vendor.admit(asked(link_url("wss://x", VOICE, {}), headers(KEY)))
    assert isinstance(answer, Answer)
    assert answer.status == 429
    wires[0].session.close()
    assert isinstance(vendor.admit(asked(link_url("wss://x", VOICE, {}), headers(KEY))), Admitted)


@pytest.mark.parametrize(
    "changed",
    [
        {"voice": None}, {"output_format": {"container": "wav"}}, {"transcript": 7}, {"speaker": "x"},
        {"max_buffer_delay_ms": 5001}, {"model_id": "aura-2"}, {"context_id": None},
    ],
)  # fmt: skip
def test_an_input_the_vendor_does_not_understand_is_answered_with_an_error(changed):
    wire = _by_hand()
    _input(wire, "c1", "Hello.", **changed)
    [(_, said)] = wire.said
    assert (said["type"], said["status_code"], said["done"]) == ("error", 400, True)
    assert wire.left is None


def test_binary_and_unreadable_messages_are_answered_with_an_error():
    wire = _by_hand()
    wire.session.receive(b"\x01", binary=True)
    wire.session.receive(b"\xff", binary=False)
    assert wire.kinds() == ["error", "error"]


def test_the_settings_of_a_context_may_not_change():
    wire = _by_hand()
    _input(wire, "c1", "Hello.")
    _input(wire, "c1", "Hello.", language="de")
    assert _ended(wire) == [("error", "c1")]


def test_text_waits_for_more_as_long_as_was_asked_and_not_beyond_a_sentence():
    wire = _by_hand()
    _input(wire, "c1", "Hello ", max_buffer_delay_ms=500)
    wire.advance(0.55)
    assert wire.sounds == []
    wire.advance(0.1)
    assert len(wire.sounds) == 1
    _input(wire, "c2", "Hello ")
    _input(wire, "c3", "Hello there. ")
    _input(wire, "c4", "Hello ", max_buffer_delay_ms=0)
    _input(wire, "c5", "Hello ", flush=True)
    wire.advance(0.15)
    assert {said["context_id"] for _, said in wire.said if said["type"] == "chunk"} == {"c1", "c3", "c4", "c5"}


def test_a_context_that_is_given_nothing_for_a_second_is_done_and_takes_no_more():
    wire = _by_hand()
    _input(wire, "c1", "Hello.")
    wire.advance(1.0)
    _input(wire, "c1", " Again.")
    wire.advance(1.0)
    assert _ended(wire) == []
    wire.advance(1.0)
    assert _ended(wire) == [("done", "c1")]
    _input(wire, "c1", " Too late.")
    assert _ended(wire) == [("done", "c1"), ("error", "c1")]


def test_a_cancel_lets_what_sounds_come_to_its_end_and_drops_the_rest():
    wire = _by_hand()
    _input(wire, "c1", "x" * 40, max_buffer_delay_ms=0)
    _input(wire, "c1", "never", max_buffer_delay_ms=0)
    _input(wire, "c2", "never", max_buffer_delay_ms=0)
    wire.send(context_id="c2", cancel=True)
    wire.advance(0.15)
    wire.send(context_id="c1", cancel=True)
    wire.send(context_id="c9", cancel=True)
    wire.advance(5.0)
    assert spoken(b"".join(sound for _, sound in wire.sounds)) == ["x" * 40]
    assert sorted(_ended(wire)) == [("done", "c1"), ("done", "c2")]


def test_a_socket_without_a_word_for_five_minutes_is_closed_as_planned():
    wire = _by_hand()
    wire.advance(200.0)
    _input(wire, "c1", "Hello.", **{"continue": False})
    wire.advance(299.0)
    assert wire.left is None
    wire.advance(2.0)
    assert wire.left[1:] == (1000, "connection idle timeout")
    assert wire.waiting == 0


def test_a_slow_vendor_lets_wait_for_the_first_sound():
    wire = _by_hand(late_s=3.0)
    _input(wire, "c1", "Hello.")
    wire.advance(3.0)
    assert wire.sounds == []
    wire.advance(0.15)
    assert len(wire.sounds) == 1
    assert wire.moments == [(pytest.approx(3.1), "speaking")]


def test_a_context_that_failed_says_nothing_more_and_the_next_one_does():
    wire = _by_hand()
    wire.session.fail(Fault(kind="error"))
    _input(wire, "c1", "Hello.", flush=True)
    wire.session.fail(None)
    _input(wire, "c2", "Hello.", **{"continue": False})
    wire.advance(10.0)
    assert _ended(wire) == [("error", "c1"), ("done", "c2")]
    assert wire.kinds() == ["error", "done"]

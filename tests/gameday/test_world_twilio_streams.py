"""Media Streams: paced both ways, marks for what was heard, and errors that stay in their own stream."""

from __future__ import annotations

import asyncio
import base64
import socket as sockets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import world_twilio_region as w
import world_vendors_tls

from holdfast_gameday.world import voice
from holdfast_gameday.world.connections import ConnectionLog
from holdfast_gameday.world.twilio import TwilioSim
from holdfast_gameday.world.twilio_call import CarrierCall, EndedBy
from holdfast_gameday.world.twilio_net import Network
from holdfast_gameday.world.voice import Speaker


@pytest.fixture
async def sim() -> AsyncIterator[TwilioSim]:
    async with w.carrier() as sim:
        yield sim


@pytest.fixture
async def fra(sim: TwilioSim) -> AsyncIterator[w.Region]:
    async with w.Region("fra.test").serving() as region:
        region.answers["/voice"] = region.connect()
        w.number(sim, region.url("/voice"))
        yield region


async def connected(sim: TwilioSim, fra: w.Region, *frames: bytes) -> tuple[CarrierCall, w.Handset, w.Socket]:
    phone = w.Handset(list(frames))
    call = sim.place("+491555000001", to=w.NUMBER, phone=phone)
    return call, phone, await fra.socket()


async def heard(phone: w.Handset, octets: int) -> None:
    async with asyncio.timeout(30):
        while len(phone.heard) < octets:
            phone.arrived.clear()
            await phone.arrived.wait()


async def test_the_caller_is_sent_every_20_ms_and_counted(sim: TwilioSim, fra: w.Region) -> None:
    _, _, socket = await connected(sim, fra)
    started = asyncio.get_running_loop().time()
    media = (await socket.until("media", 20))[:20]
    assert asyncio.get_running_loop().time() - started < 10
    assert [message["media"]["chunk"] for message in media] == [str(number) for number in range(1, 21)]
    assert [message["media"]["timestamp"] for message in media] == [str(20 * number) for number in range(20)]
    assert [message["sequenceNumber"] for message in media] == [str(number) for number in range(2, 22)]
    assert base64.b64decode(media[0]["media"]["payload"]) == voice.SILENT_FRAME
    assert media[0]["media"]["track"] == "inbound"


async def test_speech_passes_both_ways_bit_by_bit(sim: TwilioSim, fra: w.Region) -> None:
    said = voice.encode_utterance(Speaker.CALLER, 1, 1, "hello", 3)
    call, phone, socket = await connected(sim, fra)
    phone.frames += [said[at : at + 160] for at in range(0, len(said), 160)]
    answer = voice.encode_utterance(Speaker.AGENT, 1, 1, "good morning", 3)
    await socket.play(answer)
    await heard(phone, len(answer))
    assert bytes(phone.heard) == answer
    assert call.visits[0].first_sound_at is not None
    await socket.until("media", len(socket.of("media")) + 4)
    sent = b"".join(base64.b64decode(message["media"]["payload"]) for message in socket.of("media"))
    assert said in sent


async def test_sound_sent_at_once_is_played_in_real_time_and_its_mark_comes_after(
    sim: TwilioSim, fra: w.Region
) -> None:
    _, phone, socket = await connected(sim, fra)
    await socket.play(voice.encode_utterance(Speaker.AGENT, 1, 1, "slowly", 20))
    await socket.send("mark", mark={"name": "m1"})
    (mark,) = await socket.until("mark")
    assert mark["mark"] == {"name": "m1"}
    assert len(phone.heard) == 20 * 160
    assert 0.3 <= phone.heard_at[-1] - phone.heard_at[0] < 1.5


async def test_clear_silences_and_returns_pending_marks(sim: TwilioSim, fra: w.Region) -> None:
    _, phone, socket = await connected(sim, fra)
    await socket.play(voice.silence(500))
    await socket.send("mark", mark={"name": "m1"})
    await heard(phone, 160)
    await socket.send("clear")
    await socket.until("mark")
    octets = len(phone.heard)
    assert octets < 100 * 160
    await socket.until("media", len(socket.of("media")) + 5)
    assert len(phone.heard) == octets


async def test_a_key_press_is_told(sim: TwilioSim, fra: w.Region) -> None:
    call, _, socket = await connected(sim, fra)
    call.press("5")
    assert (await socket.until("dtmf"))[0]["dtmf"] == {"track": "inbound_track", "digit": "5"}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", 31950),
        ("[]", 31950),
        ('{"event":"media","streamSid":"MZother","media":{"payload":""}}', 31951),
        ('{"event":"mark","streamSid":"SID"}', 31951),
        ('{"event":"media","streamSid":"SID","media":{"payload":"*"}}', 31951),
        ('{"event":"sing","streamSid":"SID"}', 31951),
    ],
)
async def test_a_bad_message_is_an_error_and_the_stream_lives(
    sim: TwilioSim, fra: w.Region, message: str, code: int
) -> None:
    call, _, socket = await connected(sim, fra)
    await socket.ws.send_str(message.replace("SID", socket.stream_sid))
    await socket.send("mark", mark={"name": "alive"})
    await socket.until("mark")
    assert [error.code for error in call.errors] == [code]


async def test_a_binary_message_is_an_error(sim: TwilioSim, fra: w.Region) -> None:
    call, _, socket = await connected(sim, fra)
    await socket.ws.send_bytes(b"\x00")
    await socket.send("mark", mark={"name": "alive"})
    await socket.until("mark")
    assert [error.code for error in call.errors] == [31950]


async def test_a_black_hole_is_noticed_by_the_kernel_after_the_given_time() -> None:
    """Nothing but unacknowledged data tells: a quiet agent on a living machine is never taken for lost."""
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        sock = await Network(source="127.0.0.1").dial("127.0.0.1", server.sockets[0].getsockname()[1], silence_s=30)
        assert sock.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_USER_TIMEOUT) == 30_000
        sock.close()


async def test_tls_is_checked_against_the_given_authority(tmp_path: Path) -> None:
    server, trust = world_vendors_tls.contexts(tmp_path, "fra.test")
    log = ConnectionLog()
    carrier = w.carrier(trust=trust, source="127.0.0.9", log=log)
    async with carrier as sim, w.Region("fra.test").serving(server) as fra:
        fra.answers["/voice"] = fra.connect()
        w.number(sim, fra.url("/voice"))
        call = sim.place("+491555000001", to=w.NUMBER, phone=w.Handset())
        await fra.socket()
        assert call.visits[0].url.startswith("wss://")
        assert [entry.kind for entry in log.between("127.0.0.9", "fra.test")] == ["twilio-webhook", "twilio-stream"]
        assert fra.requests[0].headers["Host"] == f"fra.test:{fra.port}"


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    server, trust = world_vendors_tls.contexts(tmp_path, "ams.test")
    async with w.carrier(trust=trust) as sim, w.Region("fra.test").serving(server) as fra:
        w.number(sim, fra.url("/voice"))
        call = sim.place("+491555000001", to=w.NUMBER, phone=w.Handset())
        async with asyncio.timeout(30):
            await call.over.wait()
        assert call.ending is not None
        assert call.ending.by is EndedBy.WEBHOOK_FAILED
        assert call.errors[0].code == 11237

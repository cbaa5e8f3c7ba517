"""Who is let in, and what a bad socket costs: itself, and nobody else."""

from __future__ import annotations

import asyncio

import picows
import pytest
from bridge_world import HOST, bridge, dial_in, settings
from raw_websocket import TEXT, frame, head, raw_client, said, start

from holdfast_bridge import audio_port


async def refused(port: int, **how: str) -> int:
    with pytest.raises(picows.WSError) as error:
        await dial_in(port, **how)  # type: ignore[arg-type]
    return int(error.value.response.status)  # type: ignore[attr-defined]


async def test_the_upgrade_is_answered_from_memory() -> None:
    async with bridge(settings(1, kind="loopback")) as b:
        assert await refused(b.port.port, path="/a/clinic/other/media") == 404
        assert await refused(b.port.port, path="/a/clinic/front-desk/media?x=1") == 404
        assert await refused(b.port.port, key="guessed") == 403
        assert await refused(b.port.port, host="evil.example.com") == 403
        b.accepting = False
        assert await refused(b.port.port) == 503
        assert b.counted == ["upgrade_404", "upgrade_404", "upgrade_403", "upgrade_403", "upgrade_503"]


async def test_both_public_names_are_served_also_with_their_port() -> None:
    async with bridge(settings(1, kind="loopback")) as b:
        for host in (HOST, "eu.voice.example.com", HOST.upper(), f"{HOST}:443"):
            socket = await dial_in(b.port.port, host=host.lower())
            assert socket.transport is not None
            socket.transport.disconnect()


async def test_a_signature_for_another_name_does_not_hold() -> None:
    async with bridge(settings(1, kind="loopback")) as b:
        socket = picows.WSListener
        from holdfast_bridge.core import signature

        signed = signature.sign("wss://eu.voice.example.com/a/clinic/front-desk/media", None, "carrier")
        with pytest.raises(picows.WSError):
            await picows.ws_connect(
                socket,
                f"ws://127.0.0.1:{b.port.port}/a/clinic/front-desk/media",
                extra_headers={"Host": HOST, "X-Twilio-Signature": signed},
            )


@pytest.mark.parametrize(
    ("token", "reason"),
    [("forged", "token_bad_signature"), ("good CA2 1", "token_of_other_call")],
)
async def test_a_bad_token_closes_the_socket_and_is_counted(token: str, reason: str) -> None:
    async with bridge(settings(1, kind="loopback")) as b:
        socket = await dial_in(b.port.port)
        socket.start(token)
        await socket.until(socket.closed.is_set)
        assert socket.code == 1008
        assert b.counted == [reason]


async def test_a_stream_of_another_account_is_closed_and_counted() -> None:
    async with bridge(settings(1, kind="loopback")) as b, raw_client(b.port.port) as client:
        client.send(head(), frame(TEXT, said("connected")))
        client.send(frame(TEXT, start("good CA1 1", "CA1", account="AC" + "9" * 32)))
        assert await client.status() == 101
        assert await client.close_code() == 1008
        assert b.counted == ["other_account"]


async def test_a_call_that_is_carried_here_is_not_taken_over_by_an_equal_epoch() -> None:
    async with bridge(settings(1, kind="loopback")) as b:
        first = await dial_in(b.port.port)
        first.start("good CA1 1")
        async with asyncio.timeout(30):
            await b.book.changed.wait()
        second = await dial_in(b.port.port)
        second.start("good CA1 1")
        await second.until(second.closed.is_set)
        assert b.counted == ["already_carried"]
        first.speak(b"still here")
        await first.until(lambda: first.audio == b"still here")


async def test_who_says_nothing_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_port, "START_WITHIN_S", 0.05)
    async with bridge(settings(1, kind="loopback")) as b:
        socket = await dial_in(b.port.port)
        await socket.until(socket.closed.is_set)
        assert (socket.code, b.counted) == (1008, ["no_start"])


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (b"not json", 1007, "not_json"),
        (b'{"event":"dance"}', 1003, "unknown_event"),
        (b'{"event":"media","streamSid":"MZ9","media":{"payload":"AAAA"}}', 1008, "other_stream"),
        (b" " * 70_000, 1009, "too_big"),
    ],
)
async def test_a_bad_message_ends_its_own_call_only(message: bytes, code: int, reason: str) -> None:
    async with bridge(settings(1, kind="loopback")) as b:
        good, bad = await dial_in(b.port.port), await dial_in(b.port.port)
        good.start("good CA1 1")
        bad.start("good CA2 1", call="CA2")
        bad.send(message)
        await bad.until(bad.closed.is_set)
        assert (bad.code, b.counted) == (code, [reason])
        good.speak(b"fine")
        await good.until(lambda: good.audio == b"fine")
        await b.journal.until(lambda: b.journal.records[-1].call == "CA2")
        assert b.journal.records[-1].state == "live"


async def test_a_binary_frame_is_not_understood() -> None:
    async with bridge(settings(1, kind="loopback")) as b:
        socket = await dial_in(b.port.port)
        assert socket.transport is not None
        socket.transport.send(picows.WSMsgType.BINARY, b"x")
        await socket.until(socket.closed.is_set)
        assert (socket.code, b.counted) == (1003, ["binary"])


async def test_fragments_are_joined_and_bounded() -> None:
    async with bridge(settings(1, kind="loopback")) as b:
        socket = await dial_in(b.port.port)
        assert socket.transport is not None
        socket.transport.send(picows.WSMsgType.TEXT, b'{"event":"conn', fin=False)
        socket.transport.send(picows.WSMsgType.CONTINUATION, b'ected"}')
        for index in range(300):
            kind = picows.WSMsgType.TEXT if index == 0 else picows.WSMsgType.CONTINUATION
            socket.transport.send(kind, b"", fin=False)
        await socket.until(socket.closed.is_set)
        assert (socket.code, b.counted) == (1009, ["too_big"])


async def test_a_flood_ends_that_socket_only() -> None:
    async with bridge(settings(1, kind="loopback")) as b:
        good, flood = await dial_in(b.port.port), await dial_in(b.port.port)
        good.start("good CA1 1")
        flood.start("good CA2 1", call="CA2")
        for _ in range(1000):
            flood.speak(b"x")
        await flood.until(flood.closed.is_set)
        assert (flood.code, b.counted) == (1008, ["flood"])
        good.speak(b"fine")
        await good.until(lambda: good.audio == b"fine")

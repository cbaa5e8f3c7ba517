"""The socket side of every simulated speech vendor: who is let in, what goes wrong on demand, and what is noted."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from picows import WSInvalidStatusError, WSListener, WSMsgType, ws_connect

from holdfast_gameday.world.connections import ConnectionLog
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import GARBAGE, UNKNOWN, Admitted, Answer, Upgrade, VendorSockets, Wire

HELLO = b'"hello"'
KEYS = ("a", "b")


class Parrot:
    """A session that repeats what it hears. It tells that it speaks at `say`, and that a tool was called at `do`."""

    def __init__(self, wire: Wire, number: int) -> None:
        self.wire = wire
        self.number = number
        self.happened: list[Any] = []
        self.over = asyncio.Event()

    def open(self) -> None:
        self.happened.append("open")
        self.wire.text(HELLO)

    def receive(self, message: bytes, *, binary: bool) -> None:
        self.happened.append(message)
        if message == b"leave":
            self.wire.leave(4321, "as you wish")
        (self.wire.binary if binary else self.wire.text)(message)
        if message.startswith(b"say"):
            self.wire.reached("speaking")
        elif message == b"do":
            self.wire.reached("tool")
        if message.endswith(b"and leave"):
            self.wire.leave(1000)

    def fail(self, fault: Fault | None) -> None:
        self.happened.append(fault)

    def close(self) -> None:
        self.happened.append("close")
        self.over.set()
        self.wire.leave(1000)


class Parrots:
    """`/v1/parrot?key=`, and `/v1/models?key=` for a probe."""

    kind = "parrot"

    def __init__(self) -> None:
        self.made: list[Parrot] = []

    def admit(self, asked: Upgrade) -> Admitted | Answer:
        key = asked.one("key")
        if key not in KEYS:
            return Answer(401, {"error": "who are you"})
        if asked.path == "/v1/models":
            return Answer(200, {"models": []}, key_name=key)
        headers = {"x-heard": asked.headers["x-say"]} if "x-say" in asked.headers else {}
        return Admitted(key, self._session, headers)

    def refusal(self, fault: Fault) -> Answer:
        return Answer(fault.status, {"error": "not now"}, {"Retry-After": str(fault.retry_after_s)})

    def _session(self, wire: Wire, number: int) -> Parrot:
        self.made.append(Parrot(wire, number))
        return self.made[-1]


class Client(WSListener):
    def __init__(self) -> None:
        self.came: asyncio.Queue[bytes] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.closed: tuple[int, str] | None = None
        self._pongs = asyncio.Event()
        self.transport: Any = None

    def on_ws_connected(self, transport: Any) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            self.closed = int(frame.get_close_code()), (frame.get_close_message() or b"").decode()
            transport.disconnect()
        elif frame.msg_type is WSMsgType.PONG:
            self._pongs.set()
        else:
            self.came.put_nowait(frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport: Any) -> None:
        self.gone.set()

    def say(self, *messages: bytes) -> None:
        for message in messages:
            self.transport.send(WSMsgType.TEXT, message)

    async def heard(self, count: int) -> list[bytes]:
        async with asyncio.timeout(30):
            return [await self.came.get() for _ in range(count)]

    async def settled(self) -> list[bytes]:
        """All that came until the server had read everything that was sent."""
        self._pongs.clear()
        self.transport.send_ping()
        async with asyncio.timeout(30):
            await self._pongs.wait()
        return [self.came.get_nowait() for _ in range(self.came.qsize())]

    async def ended(self) -> tuple[int, str] | None:
        async with asyncio.timeout(30):
            await self.gone.wait()
        return self.closed


class World:
    def __init__(self, **parts: Any) -> None:
        self.vendor = Parrots()
        self.server = VendorSockets(self.vendor, **parts)
        self.address = ""

    async def dial(self, key: str = "a", path: str = "/v1/parrot", **headers: str) -> Client:
        _, client = await ws_connect(Client, f"ws://{self.address}{path}?key={key}", extra_headers=headers)
        return client

    async def status(self, key: str = "a", path: str = "/v1/parrot") -> int:
        try:
            client = await self.dial(key, path)
        except WSInvalidStatusError as error:
            return int(error.response.status)
        client.transport.disconnect()
        await client.ended()
        return 101

    def moments(self) -> list[tuple[str, str]]:
        return [(each.key, each.what) for each in self.server.happened]


@contextlib.asynccontextmanager
async def world(**parts: Any) -> Any:
    made = World(**parts)
    async with made.server.serving("127.0.0.1", 0) as address:
        made.address = str(address)
        yield made


@pytest.fixture
async def at() -> Any:
    async with world() as made:
        yield made


# --- who is let in


async def test_links_are_numbered_counted_by_key_and_logged_with_their_path() -> None:
    log = ConnectionLog()
    async with world(first_session=7, connection_log=log, name="api.parrot.example") as at:
        for key in ("a", "b", "a"):
            await at.dial(key)
        assert await at.status("nobody") == 401
        assert [parrot.number for parrot in at.vendor.made] == [7, 8, 9]
        assert at.server.counts.by_key == {"a": 2, "b": 1}
        assert (at.server.counts.opened, at.server.counts.refused) == (3, 1)
        assert {(entry.kind, entry.name, entry.path) for entry in log.entries} == {
            ("parrot", "api.parrot.example", "/v1/parrot")
        }
    assert at.server.counts.closed == 3


async def test_a_vendor_may_answer_an_upgrade_with_headers_of_its_own(at: World) -> None:
    transport, client = await ws_connect(
        Client, f"ws://{at.address}/v1/parrot?key=a", extra_headers={"X-Say": "grüezi".encode().hex()}
    )
    assert transport.response.headers["x-heard"] == "grüezi".encode().hex()
    assert await client.heard(1) == [HELLO]


async def test_a_refusal_hits_its_key_and_share_and_probes_like_links(at: World) -> None:
    at.server.inject(Fault("refuse", keys={"a"}, share=0.5, status=429))
    assert [await at.status() for _ in range(4)] == [101, 429, 101, 429]
    assert await at.status("b") == 101
    at.server.heal()
    at.server.inject(Fault("refuse", keys={"a"}))
    assert await at.status(path="/v1/models") == 503
    assert await at.status("b", path="/v1/models") == 200
    assert await at.status("nobody") == 401
    assert [key for _, key in at.server.refusals] == ["a", "a", "a"]
    at.server.heal()
    assert await at.status(path="/v1/models") == 200


async def test_when_the_server_ends_its_links_are_told() -> None:
    async with world() as at:
        client = await at.dial()
    assert await client.ended() == (1001, "server shutting down")
    assert at.vendor.made[0].happened == ["open", "close"]


# --- how links end


@pytest.mark.parametrize(
    ("fault", "closed"),
    [
        (Fault("close", code=1013, reason="überlastet"), (1013, "überlastet")),
        (Fault("drop"), None),
    ],
)
async def test_a_link_that_ends_on_demand_is_over_for_its_session_once(
    at: World, fault: Fault, closed: tuple[int, str] | None
) -> None:
    client = await at.dial()
    await client.heard(1)
    at.server.inject(fault)
    assert await client.ended() == closed
    [parrot] = at.vendor.made
    assert parrot.happened == ["open", "close"]
    assert at.server.sessions == []
    assert at.server.counts.closed == 1


async def test_a_link_that_ends_as_soon_as_it_is_open_never_begins(at: World) -> None:
    at.server.inject(Fault("close", keys={"a"}))
    client = await at.dial()
    client.say(b"hello?")
    assert await client.ended() == (1011, "")
    assert at.vendor.made[0].happened == ["close"]
    assert client.came.empty()


async def test_a_session_that_leaves_hears_and_says_nothing_more(at: World) -> None:
    client = await at.dial()
    client.say(b"leave", b"one more thing")
    assert await client.ended() == (4321, "as you wish")
    assert at.vendor.made[0].happened == ["open", b"leave", "close"]
    assert await client.heard(1) == [HELLO]
    assert client.came.empty()


async def test_a_link_that_is_gone_is_struck_by_nothing(at: World) -> None:
    at.server.inject(Fault("close", at="speaking"))
    client = await at.dial()
    client.say(b"say and leave")
    assert await client.ended() == (1000, "")
    assert at.moments() == [("a", "speaking")]


# --- what is said


async def test_a_message_in_fragments_is_put_together(at: World) -> None:
    client = await at.dial()
    client.transport.send(WSMsgType.TEXT, b"one ", fin=False)
    client.transport.send(WSMsgType.CONTINUATION, b"two ", fin=False)
    client.transport.send(WSMsgType.CONTINUATION, b"three")
    client.transport.send(WSMsgType.BINARY, b"four")
    assert await client.heard(3) == [HELLO, b"one two three", b"four"]


async def test_fragments_without_end_are_not_kept(at: World) -> None:
    client = await at.dial()
    piece = bytes(13 * 1024 * 1024)
    client.transport.send(WSMsgType.TEXT, piece, fin=False)
    client.transport.send(WSMsgType.CONTINUATION, piece, fin=False)
    assert await client.ended() == (1009, "")


async def test_a_stalled_link_says_nothing_until_it_is_healed(at: World) -> None:
    client = await at.dial()
    await client.heard(1)
    at.server.inject(Fault("stall"))
    client.say(b"anyone there")
    assert await client.settled() == []
    at.server.heal()
    client.say(b"and now")
    assert await client.heard(1) == [b"and now"]


@pytest.mark.parametrize(("kind", "said"), [("garbage", GARBAGE), ("unknown", UNKNOWN)])
async def test_one_message_that_nobody_understands_and_then_all_is_as_before(at: World, kind: Any, said: bytes) -> None:
    client = await at.dial()
    at.server.inject(Fault(kind))
    client.say(b"go on")
    assert await client.heard(3) == [HELLO, said, b"go on"]


async def test_a_garbled_link_can_be_read_no_more_until_it_is_healed(at: World) -> None:
    client, other = await at.dial("a"), await at.dial("b")
    await client.heard(1)
    at.server.inject(Fault("garbled", keys={"a"}))
    client.say(b"one", b"two")
    client.transport.send(WSMsgType.BINARY, b"sound")
    assert await client.heard(3) == [GARBAGE] * 3
    assert await (await at.dial("a")).heard(1) == [GARBAGE]
    other.say(b"three")
    assert await other.heard(2) == [HELLO, b"three"]
    at.server.heal()
    client.say(b"four")
    assert await client.heard(1) == [b"four"]


async def test_a_slow_link_begins_late_and_answers_then_what_was_asked_before(at: World) -> None:
    at.server.inject(Fault("slow", delay_s=30.0))
    client = await at.dial()
    client.say(b"one", b"two")
    assert await client.settled() == []
    [parrot] = at.vendor.made
    assert parrot.happened == []
    assert parrot.wire.delay_s() == 30.0
    at.server.heal()
    assert await client.heard(3) == [HELLO, b"one", b"two"]
    assert parrot.happened == [None, "open", b"one", b"two"]
    assert parrot.wire.delay_s() == 0.0


async def test_a_slow_link_that_goes_first_never_begins(at: World) -> None:
    at.server.inject(Fault("slow", delay_s=30.0))
    client = await at.dial()
    client.transport.disconnect()
    [parrot] = at.vendor.made
    await asyncio.wait_for(parrot.over.wait(), 30)
    at.server.heal()
    assert parrot.happened == ["close"]


# --- at which moment


async def test_a_fault_strikes_when_its_moment_is_reached_and_each_link_once(at: World) -> None:
    failure = Fault("error", at="tool", keys={"a"}, error_code="overloaded")
    early, other = await at.dial("a"), await at.dial("b")
    at.server.inject(failure)
    late = await at.dial("a")
    for client in (early, other, late):
        client.say(b"say", b"do", b"do")
        await client.heard(4)
        await client.settled()
    first, second, third = at.vendor.made
    assert [parrot.happened.count(failure) for parrot in (first, second, third)] == [1, 0, 1]
    assert first.happened.index(failure) > first.happened.index(b"do")
    at.server.heal()
    assert first.happened[-1] is None


async def test_what_brought_a_fault_about_is_still_heard(at: World) -> None:
    at.server.inject(Fault("close", at="speaking"))
    client = await at.dial()
    client.say(b"say")
    assert await client.ended() == (1011, "")
    assert await client.heard(2) == [HELLO, b"say"]


async def test_moments_are_noted_by_key_in_their_order(at: World) -> None:
    first, second = await at.dial("a"), await at.dial("b")
    first.say(b"say")
    await first.heard(2)
    at.server.inject(Fault("stall", keys={"b"}))
    second.say(b"do")
    await second.settled()
    assert at.moments() == [("a", "speaking"), ("b", "struck"), ("b", "tool")]
    times = [each.at for each in at.server.happened]
    assert times == sorted(times)


def test_a_fault_is_named_by_its_kind_first() -> None:
    assert Fault("close", code=1013) == Fault(kind="close", code=1013)
    with pytest.raises(TypeError):
        Fault("close", "speaking")  # type: ignore[misc]

"""From probes to the list that callers are offered: what is probed, how often, and what changes the list."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from turn_prober import Prober as Issued

from holdfast import clock
from holdfast.core import reasons
from holdfast.core.relays import Home, Relay, Sight, Transport
from holdfast.core.values import Probe, Tier, Verdict
from holdfast.errors import DriverError
from holdfast.gather.relays import Relays, WatchedRelay
from holdfast.gather.turn_credentials import Issuer
from holdfast.gather.turn_end import Credential
from holdfast.gather.turn_forbidden import Forbidden
from holdfast.gather.turn_probe import Credentials, Outcome
from holdfast.gather.turn_url import TurnAddress

UDP, TLS = Transport.UDP, Transport.TLS
QUICK = Probe(interval_s=60, timeout_s=1, confirmations=2, confirm_every_s=0.01)
OFTEN = replace(QUICK, interval_s=0.02)
HOME = Home("eu")


def relay(name: str = "a", *, probe: Probe = QUICK, forbidden: Forbidden | None = None, **urls: str) -> WatchedRelay:
    given = urls or {"udp": f"turn:{name}.test", "tls": f"turns:{name}.test"}
    known = Relay(name, "eu", {Transport(transport): url for transport, url in given.items()})
    return WatchedRelay(known, "secret", forbidden, probe)


@dataclass
class FakeProbe:
    """Answers with the sight that is set for a host and transport; counts what is asked of it."""

    sights: dict[tuple[str, Transport], Sight] = field(default_factory=dict)
    asked: list[tuple[TurnAddress, bool]] = field(default_factory=list)
    users: set[str] = field(default_factory=set)
    under_way: int = 0
    most: int = 0
    held: asyncio.Event | None = None
    settled: bool = False
    bell: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not true():
                self.bell.clear()
                await self.bell.wait()

    async def probe(
        self, address: TurnAddress, credentials: Credentials, *, forbidden: Forbidden | None = None
    ) -> Outcome:
        self.asked.append((address, forbidden is not None))
        try:
            self.users.add((await credentials.issue()).username.partition(":")[2])
        except DriverError as e:
            return Outcome(Sight.OUR_FAULT, "credentials", str(e))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        self.bell.set()
        if self.held is not None:
            await self.held.wait()
        self.under_way -= 1
        sight = self.sights.get((address.host, address.transport), Sight.WELL)
        return Outcome(sight, "done", sight.value, {"forbidden": 0.1} if forbidden is not None else {})

    async def settle(self) -> None:
        self.settled = True

    def times(self, host: str, transport: Transport = UDP) -> int:
        return sum((each.host, each.transport) == (host, transport) for each, _ in self.asked)


def issuer(name: str) -> Issuer:
    if name != "secret":
        raise DriverError("NoIssuer", f"TURN issuer {name} is not configured", retryable=False)
    return Issued().issuer


@dataclass
class Stage:
    probe: FakeProbe
    known: list[WatchedRelay]
    relays: Relays
    changed: asyncio.Event

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not true():
                self.changed.clear()
                await self.changed.wait()

    async def until_sight(self, sight: Sight, name: str = "a", transport: Transport = UDP) -> None:
        await self.until(lambda: self.relays.sights().get((name, transport)) is sight)

    def offered(self) -> list[str]:
        return [server.url for server in self.relays.ice_list(HOME).servers]


@asynccontextmanager
async def watching(*known: WatchedRelay, probe: FakeProbe | None = None, at_once: int = 8) -> AsyncIterator[Stage]:
    changed = asyncio.Event()
    fake, listed = probe or FakeProbe(), list(known)
    relays = Relays(
        probe=fake,
        relays=lambda: listed,
        issuer=issuer,
        user="holdfast-fra",
        clock=clock.now,
        on_change=changed.set,
        dice=random.Random(1),
        at_once=at_once,
    )
    task = asyncio.create_task(relays.run())
    try:
        yield Stage(fake, listed, relays, changed)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert fake.settled


async def test_every_relay_is_seen_well_over_each_transport_without_waiting_for_its_turn() -> None:
    async with watching(relay("a"), relay("b")) as stage:
        for name, transport in [("a", UDP), ("a", TLS), ("b", UDP), ("b", TLS)]:
            await stage.until_sight(Sight.WELL, name, transport)
        assert stage.offered() == ["turn:a.test", "turn:b.test", "turns:a.test", "turns:b.test"]
        assert len(stage.probe.asked) == 4 * 2
        assert {user.rpartition("-")[0] for user in stage.probe.users} == {"holdfast-fra-udp", "holdfast-fra-tls"}


async def test_a_stirred_relay_that_fails_is_confirmed_at_once_and_set_aside() -> None:
    async with watching(relay("a"), relay("b")) as stage:
        for name in ("a", "b"):
            await stage.until_sight(Sight.WELL, name)
        stage.probe.sights[("a.test", UDP)] = Sight.ILL
        stage.relays.stir("a")
        await stage.until_sight(Sight.ILL)
        assert stage.probe.times("a.test") == 2 + 3
        assert stage.offered() == ["turn:b.test", "turns:a.test", "turns:b.test"]
        seen = {each.target: each for each in stage.relays.observations("fra")}
        assert (seen["a over udp"].verdict, seen["a over udp"].tier) == (Verdict.DOWN, Tier.RELAY)
        assert seen["b over udp"].verdict is Verdict.UP


async def test_a_failure_over_one_transport_has_the_others_asked_at_once() -> None:
    """A relay that is gone is gone over all of them; each by its own turn would take up to an interval longer."""
    async with watching(relay("a")) as stage:
        await stage.until_sight(Sight.WELL, "a", TLS)
        await stage.until_sight(Sight.WELL)
        stage.probe.sights = {("a.test", UDP): Sight.ILL, ("a.test", TLS): Sight.ILL}
        stage.relays._watches.stir(("a", UDP))
        await stage.until_sight(Sight.ILL, "a", TLS)
        await stage.until_sight(Sight.ILL)
        assert stage.probe.times("a.test", TLS) == 2 + 3


async def test_a_single_failure_changes_nothing() -> None:
    async with watching(relay("a", probe=replace(QUICK, confirm_every_s=0.3))) as stage:
        await stage.until_sight(Sight.WELL)
        stage.probe.sights[("a.test", UDP)] = Sight.ILL
        stage.relays.stir("a")
        await stage.until(lambda: stage.relays.outcomes()[("a", UDP)].sight is Sight.ILL)
        del stage.probe.sights[("a.test", UDP)]
        await stage.probe.until(lambda: stage.probe.times("a.test") == 4)
        assert stage.relays.sights()[("a", UDP)] is Sight.WELL


async def test_a_relay_that_fills_up_is_set_back_at_once() -> None:
    async with watching(relay("a"), relay("b")) as stage:
        await stage.until_sight(Sight.WELL, "b")
        await stage.until_sight(Sight.WELL)
        stage.probe.sights[("a.test", UDP)] = Sight.FULL
        stage.relays.stir("a")
        await stage.until_sight(Sight.FULL)
        assert stage.probe.times("a.test") == 3
        assert stage.offered()[-1] == "turn:a.test"


async def test_what_last_worked_is_offered_when_nothing_answers() -> None:
    async with watching(relay("a"), relay("b")) as stage:
        stage.probe.sights[("a.test", UDP)] = Sight.FULL
        for name, transport in [("a", TLS), ("b", UDP), ("b", TLS)]:
            await stage.until_sight(Sight.WELL, name, transport)
        await stage.until_sight(Sight.FULL)
        good = stage.offered()
        assert good == ["turn:b.test", "turns:a.test", "turns:b.test", "turn:a.test"]
        stage.probe.sights = {(f"{name}.test", transport): Sight.ILL for name in "ab" for transport in (UDP, TLS)}
        stage.relays.stir("a")
        stage.relays.stir("b")
        await stage.until(lambda: set(stage.relays.sights().values()) == {Sight.ILL})
        assert stage.offered() == good
        assert stage.relays.ice_list(HOME).reason.code == reasons.ALL_RELAYS_ILL


async def test_no_more_probes_are_under_way_than_allowed_and_all_get_their_turn() -> None:
    probe = FakeProbe(held=asyncio.Event())
    many = [relay(f"r{number}", udp=f"turn:r{number}.test") for number in range(9)]
    async with watching(*many, probe=probe, at_once=2) as stage:
        await probe.until(lambda: probe.under_way == 2)
        assert probe.held is not None
        probe.held.set()
        for number in range(9):
            await stage.until_sight(Sight.WELL, f"r{number}")
        assert probe.most == 2


async def test_what_a_relay_must_not_reach_is_asked_first_and_then_seldom() -> None:
    async with watching(relay("a", probe=OFTEN, forbidden=Forbidden(), udp="turn:a.test")) as stage:
        await stage.until_sight(Sight.WELL)
        await stage.probe.until(lambda: len(stage.probe.asked) >= 8)
        asked = [forbidden for _, forbidden in stage.probe.asked]
        assert asked[0]
        assert not any(asked[1:])


async def test_an_exposed_relay_is_asked_every_time_until_it_is_no_more() -> None:
    probe = FakeProbe(sights={("a.test", UDP): Sight.EXPOSED})
    watched = relay("a", probe=OFTEN, forbidden=Forbidden(), udp="turn:a.test")
    async with watching(watched, relay("b"), probe=probe) as stage:
        await stage.until_sight(Sight.EXPOSED)
        assert not any("a.test" in url for url in stage.offered())
        del probe.sights[("a.test", UDP)]
        await stage.until_sight(Sight.WELL)
        asked = [forbidden for address, forbidden in probe.asked if address.host == "a.test"]
        assert all(asked[:5])


async def test_a_relay_that_moved_or_went_is_not_judged_by_what_it_was() -> None:
    async with watching(relay("a", udp="turn:old.test")) as stage:
        await stage.until_sight(Sight.WELL)
        stage.known[:] = [relay("a", udp="turn:new.test")]
        assert dict(stage.relays.sights()) == {}
        await stage.until_sight(Sight.WELL)
        assert stage.probe.times("new.test") == 2
        stage.known[:] = []
        assert dict(stage.relays.sights()) == {}
        assert stage.relays.observations("fra") == []
        assert stage.relays.ice_list(HOME).reason.code == reasons.NO_RELAY


@pytest.mark.parametrize("url", ["stun:a.test", "turn:a.test?transport=tcp"])
async def test_an_address_that_is_wrong_is_told_and_not_probed(url: str) -> None:
    async with watching(relay("a", udp=url)) as stage:
        await stage.until_sight(Sight.OUR_FAULT)
        assert url in stage.relays.outcomes()[("a", UDP)].detail
        assert stage.probe.asked == []


async def test_callers_are_given_credentials_and_an_issuer_that_gives_none_is_named() -> None:
    nobody = WatchedRelay(Relay("b", "eu", {UDP: "turn:b.test"}), "vendor")
    async with watching(relay("a", udp="turn:a.test"), nobody) as stage:
        await stage.until_sight(Sight.WELL)
        offers, problems = await stage.relays.offers(HOME, user="caller-1", ttl_s=3600)
    (offer,) = offers
    assert offer.server.url == "turn:a.test"
    assert isinstance(offer.credential, Credential)
    assert offer.credential.username.endswith(":caller-1")
    assert [problem.code for problem in problems] == ["NoIssuer"]


async def test_no_two_probes_in_a_row_share_a_quota() -> None:
    """coturn counts an allocation over UDP for a second after it was given back."""
    async with watching(relay("a", probe=OFTEN, udp="turn:a.test")) as stage:
        await stage.probe.until(lambda: len(stage.probe.asked) >= 8)
        assert len(stage.probe.users) == len(stage.probe.asked)

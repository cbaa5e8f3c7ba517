"""Listening: a heartbeat counts because it moves, and silence is noticed once."""

from __future__ import annotations

from fleet_apiserver import FakeApiServer

from holdfast import heart, kube
from holdfast.core.values import Verdict
from holdfast.peers import REGION_LEASE, Peers

NS = "holdfast-system"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def beat(server: FakeApiServer, seq: int, *, doubt: bool = False, at: float = 0.0) -> None:
    text = heart.encode(
        heart.Heartbeat(
            seq=seq,
            region=server.name,
            observations={"fra": heart.Seen(Verdict.DOWN, held_s=2.0, detail="refused")},
            self_doubt=doubt,
            at=at,
        )
    )
    body = {
        "metadata": {"name": REGION_LEASE, "annotations": {heart.HEARTBEAT_ANNOTATION: text}},
        "spec": {"holderIdentity": "pod-1"},
    }
    await server.client().apply(kube.LEASES, body, namespace=NS)


def listening(server: FakeApiServer, clock: Clock, missed: list[str]) -> Peers:
    return Peers(clients={server.name: server.client()}, namespace=NS, clock=clock, on_missed=missed.append)


async def test_a_beat_left_behind_by_the_dead_proves_nothing_until_it_moves() -> None:
    server, clock = FakeApiServer("ams"), Clock()
    peers = listening(server, clock, [])
    await beat(server, 1)
    assert await peers.listen("ams") is False
    assert peers.age_s("ams") == float("inf")
    await beat(server, 2)
    assert await peers.listen("ams") is True
    assert peers.age_s("ams") == 0.0


async def test_observations_age_on_our_clock() -> None:
    server, clock = FakeApiServer("ams"), Clock()
    peers = listening(server, clock, [])
    for seq in (1, 2):
        await beat(server, seq, doubt=True)
        await peers.listen("ams")
    clock.now += 2.5
    (seen,) = peers.observations()
    assert (seen.observer, seen.target, seen.verdict) == ("ams", "fra", Verdict.DOWN)
    assert (seen.heard_age_s, seen.held_s, seen.self_doubt) == (2.5, 2.0, True)


async def test_an_unreachable_peer_is_missed_once_per_silence() -> None:
    server, clock, missed = FakeApiServer("ams"), Clock(), []
    peers = listening(server, clock, missed)
    server.mode = "down"
    await peers.listen("ams")
    await peers.listen("ams")
    assert missed == ["ams"]
    server.mode = "up"
    for seq in (1, 2):
        await beat(server, seq)
        await peers.listen("ams")
    server.mode = "down"
    await peers.listen("ams")
    assert missed == ["ams", "ams"]


async def test_a_beat_that_stands_still_is_missed() -> None:
    """The API server outlives its operator: a Lease that answers is not a peer that lives."""
    server, clock, missed = FakeApiServer("ams"), Clock(), []
    peers = listening(server, clock, missed)
    for seq in (1, 2):
        await beat(server, seq)
        await peers.listen("ams")
    clock.now += 1.0
    await peers.listen("ams")
    assert missed == []
    clock.now += 1.0
    await peers.listen("ams")
    assert missed == ["ams"]


async def test_listening_again_asks_the_server_at_once() -> None:
    server, clock = FakeApiServer("ams"), Clock()
    peers = listening(server, clock, [])
    await beat(server, 1)
    await peers.listen_again(("ams", "unknown"))
    await beat(server, 2)
    await peers.listen_again(("ams",))
    assert peers.age_s("ams") == 0.0


async def test_a_clock_is_compared_by_the_beat_that_was_read_soonest() -> None:
    """Each beat is read up to two seconds after it was written; only few of them are not."""
    server, wall = FakeApiServer("ams"), Clock()
    peers = Peers(
        clients={"ams": server.client()}, namespace=NS, clock=Clock(), on_missed=lambda _peer: None, wall_s=wall
    )
    for seq in range(10):
        await beat(server, seq, at=wall.now + 4.0 - (0.1 if seq == 5 else 1.5))
        await peers.listen("ams")
        assert peers.skew() == {}
    await beat(server, 10, at=wall.now + 4.0 - 1.5)
    await peers.listen("ams")
    assert {name: round(ahead_s, 2) for name, ahead_s in peers.skew().items()} == {"ams": 3.9}

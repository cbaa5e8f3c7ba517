"""The probe against real coturn: every state of a relay judged right, and nothing left behind in any of them."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from real_coturn import HOST, SECRET, coturn
from turn_prober import PATIENT, QUICK, Prober, black_hole, nothing_left, path_to

from holdfast.core.relays import Sight, Transport
from holdfast.gather.turn_end import End
from holdfast.gather.turn_forbidden import Forbidden
from holdfast.gather.turn_probe import Outcome, Timeouts, TurnProbe

pytestmark = pytest.mark.programs

UDP, TCP, TLS = Transport.UDP, Transport.TCP, Transport.TLS
# Nothing answers there, and coturn can be told to refuse it: all else of these tests is on loopback too.
ELSEWHERE = Forbidden(networks=("127.0.0.3/32",))
DENIED = "denied-peer-ip=127.0.0.3"


def judged(outcome: Outcome) -> tuple[Sight, str]:
    return outcome.sight, outcome.detail


@pytest.mark.parametrize("transport", Transport)
async def test_a_relay_in_order_is_well_over_each_transport(tmp_path: Path, transport: Transport) -> None:
    async with coturn(tmp_path, DENIED) as relay:
        outcome = await TurnProbe(relay.tls, PATIENT).probe(relay.address(transport), Prober(), forbidden=ELSEWHERE)
        assert (outcome.sight, outcome.stage, outcome.detail, outcome.warning) == (Sight.WELL, "done", "", "")
        assert list(outcome.elapsed_s) == ["credentials", "connect", "allocate", "peer", "relay", "forbidden"]
        assert outcome.rtt_s is not None
        assert 0 < outcome.rtt_s < 0.5
        assert relay.allocated() == 2
        await nothing_left(relay)


@pytest.mark.parametrize("transport", Transport)
async def test_a_relay_that_stopped_is_ill(tmp_path: Path, transport: Transport) -> None:
    async with coturn(tmp_path) as relay:
        await relay.stop()
        probe = TurnProbe(relay.tls, PATIENT)
        outcome = await probe.probe(relay.address(transport), Prober())
        stage = "allocate" if transport is UDP else "connect"
        assert judged(outcome) == (Sight.ILL, f"{stage}: connection refused")
        await probe.settle()


@pytest.mark.parametrize(("transport", "stage"), [(UDP, "allocate"), (TCP, "allocate"), (TLS, "connect")])
async def test_a_relay_that_swallows_everything_is_ill_after_one_time_out(transport: Transport, stage: str) -> None:
    async with black_hole(transport) as address, asyncio.timeout(30):
        probe = TurnProbe(ssl.create_default_context(), QUICK)
        outcome = await probe.probe(address, Prober())
        assert judged(outcome) == (Sight.ILL, f"{stage}: no end within 500 ms")
        await probe.settle()


async def test_a_relay_at_its_quota_is_full_and_not_ill(tmp_path: Path) -> None:
    async with coturn(tmp_path, "user-quota=2") as relay:
        probe = TurnProbe(relay.tls, PATIENT)
        squatters = [await End.open(relay.address(UDP), await Prober().issue(), relay.tls) for _ in range(2)]
        for end in squatters:
            await end.allocate()
        for transport in Transport:
            outcome = await probe.probe(relay.address(transport), Prober())
            assert judged(outcome) == (Sight.FULL, "allocate: 486 allocation quota reached")
        for end in squatters:
            assert await end.release(1.0)
        async with asyncio.timeout(30):
            # coturn counts an allocation for a moment longer than it has it.
            while (await probe.probe(relay.address(UDP), Prober())).sight is not Sight.WELL:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await nothing_left(relay)


async def test_callers_at_their_quota_are_counted_apart_from_the_prober(tmp_path: Path) -> None:
    async with coturn(tmp_path, "user-quota=2") as relay:
        callers = [await End.open(relay.address(UDP), await Prober(user="caller").issue(), relay.tls) for _ in range(2)]
        for end in callers:
            await end.allocate()
        assert (await TurnProbe(relay.tls, PATIENT).probe(relay.address(UDP), Prober())).sight is Sight.WELL
        for end in callers:
            assert await end.release(1.0)


async def test_a_relay_with_room_for_one_more_is_full(tmp_path: Path) -> None:
    async with coturn(tmp_path, "total-quota=1") as relay:
        outcome = await TurnProbe(relay.tls, PATIENT).probe(relay.address(UDP), Prober())
        assert judged(outcome) == (Sight.FULL, "peer: 486 allocation quota reached")
        assert relay.allocated() == 1
        await nothing_left(relay)


@pytest.mark.parametrize("transport", [UDP, TCP])
async def test_a_relay_that_redirects_is_draining_and_is_not_followed(tmp_path: Path, transport: Transport) -> None:
    async with black_hole(UDP) as elsewhere, coturn(tmp_path, f"alternate-server={HOST}:{elsewhere.port}") as relay:
        outcome = await TurnProbe(relay.tls, PATIENT).probe(relay.address(transport), Prober())
        assert judged(outcome) == (Sight.DRAINING, "allocate: 300 try another server")
        assert relay.allocated() == 0


async def test_a_relay_that_redirects_over_tls_is_draining(tmp_path: Path) -> None:
    async with coturn(tmp_path, f"tls-alternate-server={HOST}:9") as relay:
        outcome = await TurnProbe(relay.tls, PATIENT).probe(relay.address(TLS), Prober())
        assert judged(outcome) == (Sight.DRAINING, "allocate: 300 try another server")


@pytest.mark.parametrize("ours", [Prober("another"), Prober(late_s=1000)], ids=["wrong-secret", "expired"])
async def test_a_credential_that_is_refused_is_our_fault(tmp_path: Path, ours: Prober) -> None:
    async with coturn(tmp_path) as relay:
        for transport in Transport:
            outcome = await TurnProbe(relay.tls, PATIENT).probe(relay.address(transport), ours)
            said = "allocate: 401 unauthorized: its secret is not ours, or the clocks differ"
            assert judged(outcome) == (Sight.OUR_FAULT, said)
        assert relay.allocated() == 0


async def test_a_relay_that_knows_only_the_older_secret_yet_is_well_and_says_so(tmp_path: Path) -> None:
    async with coturn(tmp_path) as relay:
        probe = TurnProbe(relay.tls, PATIENT)
        outcome = await probe.probe(relay.address(UDP), Prober("the-next", SECRET))
        assert (outcome.sight, outcome.warning) == (Sight.WELL, "it does not take the newest credential yet")
        await nothing_left(relay)


async def test_a_relay_with_several_secrets_takes_each(tmp_path: Path) -> None:
    async with coturn(tmp_path, secrets=("old", "new")) as relay:
        for secret in ("old", "new"):
            outcome = await TurnProbe(relay.tls, PATIENT).probe(relay.address(UDP), Prober(secret))
            assert (outcome.sight, outcome.warning) == (Sight.WELL, "")


@pytest.mark.parametrize("transport", Transport)
async def test_a_relay_that_asks_for_no_credentials_is_open(tmp_path: Path, transport: Transport) -> None:
    async with coturn(tmp_path, "no-auth") as relay:
        outcome = await TurnProbe(relay.tls, PATIENT).probe(relay.address(transport), Prober())
        assert judged(outcome) == (Sight.OPEN, "allocate: it allocates without credentials")
        assert relay.allocated() == 1
        await nothing_left(relay)


@pytest.mark.parametrize("transport", Transport)
async def test_a_relay_that_reaches_its_own_loopback_is_exposed(tmp_path: Path, transport: Transport) -> None:
    """Proved by its own STUN listener, which answers through the relay."""
    async with coturn(tmp_path) as relay:
        loopback = Forbidden(networks=("127.0.0.1/32",))
        outcome = await TurnProbe(relay.tls, PATIENT).probe(relay.address(transport), Prober(), forbidden=loopback)
        assert outcome.sight is Sight.EXPOSED
        assert "it relays to 127.0.0.1" in outcome.detail
        await nothing_left(relay)


async def test_a_relay_that_reaches_the_probers_own_forbidden_address_is_exposed(tmp_path: Path) -> None:
    async with coturn(tmp_path, host="127.0.0.2") as relay:
        ours = Forbidden(networks=("127.0.0.1/32",))
        outcome = await TurnProbe(relay.tls, PATIENT).probe(relay.address(UDP), Prober(), forbidden=ours)
        assert outcome.sight is Sight.EXPOSED
        assert "it relays to 127.0.0.1, the prober's own address" in outcome.detail


async def test_a_permission_that_leads_nowhere_is_a_warning(tmp_path: Path) -> None:
    async with coturn(tmp_path) as relay:
        outcome = await TurnProbe(relay.tls, PATIENT).probe(relay.address(UDP), Prober(), forbidden=ELSEWHERE)
        assert outcome.sight is Sight.WELL
        assert outcome.warning.startswith("it grants permission for 127.0.0.3,")


async def test_what_a_relay_is_meant_to_reach_is_not_asked_for(tmp_path: Path) -> None:
    async with coturn(tmp_path) as relay:
        pods = Forbidden(networks=("127.0.0.0/8",), allowed=("127.0.0.0/8",))
        outcome = await TurnProbe(relay.tls, PATIENT).probe(relay.address(UDP), Prober(), forbidden=pods)
        assert (outcome.sight, outcome.warning) == (Sight.WELL, "")


async def test_a_relay_that_refuses_itself_as_a_peer_is_poor(tmp_path: Path) -> None:
    """Its relaying cannot be proved so, and callers may be served all the same."""
    async with coturn(tmp_path, f"denied-peer-ip={HOST}") as relay:
        outcome = await TurnProbe(relay.tls, PATIENT).probe(relay.address(UDP), Prober())
        assert outcome.sight is Sight.POOR
        assert outcome.detail.startswith("relay: 403 ")
        await nothing_left(relay)


async def test_a_certificate_that_is_not_trusted_makes_the_tls_entry_ill_and_no_other(tmp_path: Path) -> None:
    async with coturn(tmp_path) as relay:
        probe = TurnProbe(ssl.create_default_context(), PATIENT)
        outcome = await probe.probe(relay.address(TLS), Prober())
        assert judged(outcome) == (Sight.ILL, "connect: its certificate is not valid: self-signed certificate")
        assert (await probe.probe(relay.address(TCP), Prober())).sight is Sight.WELL


async def test_a_certificate_for_another_name_makes_the_tls_entry_ill(tmp_path: Path) -> None:
    async with coturn(tmp_path, host="127.0.0.2") as relay:
        outcome = await TurnProbe(relay.tls, PATIENT).probe(relay.address(TLS), Prober())
        assert outcome.sight is Sight.ILL
        assert "its certificate is not valid: IP address mismatch" in outcome.detail


async def test_a_stale_nonce_is_renewed_and_tells_nothing_of_the_relay(tmp_path: Path) -> None:
    async with coturn(tmp_path, "stale-nonce=1") as relay:
        end = await End.open(relay.address(UDP), await Prober().issue(), relay.tls)
        await end.allocate()
        async with asyncio.timeout(30):
            while not relay.said("error 438"):
                await end.permit(HOST)
                await asyncio.sleep(0.1)
        assert await end.release(1.0)
        await nothing_left(relay)


@pytest.mark.parametrize("transport", Transport)
async def test_a_probe_that_is_cancelled_gives_its_allocations_back(tmp_path: Path, transport: Transport) -> None:
    async with coturn(tmp_path) as relay:
        probe = TurnProbe(relay.tls, replace(PATIENT, forbidden_s=30))
        # It is granted and silent there, so that the probe listens until it is cancelled.
        probing = asyncio.create_task(probe.probe(relay.address(transport), Prober(), forbidden=ELSEWHERE))
        async with asyncio.timeout(30):
            while relay.allocated() < 2:  # noqa: ASYNC110 - coturn's log rings no bell
                await asyncio.sleep(0.02)
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)
        assert probing.cancelled()
        await probe.settle()
        await nothing_left(relay)


async def test_a_probe_cancelled_at_any_step_leaves_nothing_behind(tmp_path: Path) -> None:
    """It can be cut at each step of the event loop. In coturn a Refresh may overtake the Allocate sent before it."""
    async with coturn(tmp_path) as relay:
        probe = TurnProbe(relay.tls, PATIENT)
        for steps in range(0, 150, 3):
            probing = asyncio.create_task(probe.probe(relay.address(UDP), Prober(user=f"cut-{steps}")))
            for _ in range(steps):
                await asyncio.sleep(0)
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)
        await probe.settle()
        assert relay.allocated() > 0
        await nothing_left(relay)


async def test_a_relay_far_away_is_well_and_its_round_trip_is_told(tmp_path: Path) -> None:
    """A long way is no loss: several packets are on it before the first is back."""
    async with coturn(tmp_path, DENIED) as relay, path_to(relay, delay_s=0.15) as address:
        outcome = await TurnProbe(relay.tls).probe(address, Prober(), forbidden=ELSEWHERE)
        assert (outcome.sight, outcome.detail) == (Sight.WELL, "")
        assert outcome.rtt_s is not None
        assert 0.3 <= outcome.rtt_s < 1.5
        await nothing_left(relay)


def channel_data(data: bytes) -> bool:
    return data[0] & 0xC0 == 0x40


async def test_a_relay_that_signals_and_does_not_relay_is_ill(tmp_path: Path) -> None:
    async with coturn(tmp_path) as relay, path_to(relay, passes=lambda data: not channel_data(data)) as address:
        outcome = await TurnProbe(relay.tls, replace(PATIENT, relay_s=1.0)).probe(address, Prober())
        assert judged(outcome) == (Sight.ILL, "relay: no end within 1000 ms")
        await nothing_left(relay)


async def test_a_relay_on_whose_path_packets_are_lost_is_poor(tmp_path: Path) -> None:
    crossed = 0

    def passes(data: bytes) -> bool:
        """The first six packets that are relayed are lost: what binds the channels, and the first tries."""
        nonlocal crossed
        crossed += channel_data(data)
        return not channel_data(data) or crossed > 6

    async with coturn(tmp_path) as relay, path_to(relay, passes=passes) as address:
        outcome = await TurnProbe(relay.tls, PATIENT).probe(address, Prober())
        assert judged(outcome) == (Sight.POOR, "done: of the packets relayed, only number 5 came back")
        await nothing_left(relay)


async def test_single_lost_packets_of_any_kind_are_no_failure(tmp_path: Path) -> None:
    """Each packet of a probe is lost once, one probe after the other: the protocol's own repetition makes up for it."""
    async with coturn(tmp_path) as relay:
        probe = TurnProbe(relay.tls, Timeouts(allocate_s=2.0, relay_s=1.5))
        for lost in range(10):
            seen = 0

            def passes(_: bytes, lost: int = lost) -> bool:
                nonlocal seen
                seen += 1
                return seen - 1 != lost

            async with path_to(relay, passes=passes) as address:
                outcome = await probe.probe(address, Prober(user=f"user-{lost}"))
            assert (outcome.sight, lost) == (Sight.WELL, lost)
        await nothing_left(relay)

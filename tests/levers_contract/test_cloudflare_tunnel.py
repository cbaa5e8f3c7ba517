"""What only a tunnel does: one document for all, connectors that take it up, and what a shared tunnel cannot do."""

from __future__ import annotations

import httpx
import pytest
from lever_cloudflare import HOST, TOKEN, plenty, rules, token, tunnelled

from holdfast.levers.base import DriverError, OriginChange, OriginReading
from holdfast.levers.cloudflare_tunnel import CloudflareTunnel
from holdfast_gameday.world.cloudflare import Fault

OFF = OriginChange(region="fra", enabled=False, epoch=7)
ON = OriginChange(region="fra", enabled=True, epoch=7)
OURS = "holdfast.invalid"


@pytest.fixture
async def vendor():
    async with tunnelled() as stage:
        yield stage


@pytest.fixture
async def slow():
    """Connectors take a document up two seconds after it was written."""
    async with tunnelled(pickup_s=2.0) as stage:
        yield stage


def others(vendor, region="fra"):
    """What is not ours of the document, in its order."""
    kept = [r for r in vendor.document(region)["ingress"] if OURS not in str(r.get("hostname"))]
    return [r for r in kept if (r.get("hostname"), r.get("service")) != (HOST, "http_status:503")]


def owners_rules():
    return [rule for rule in rules("fra") if OURS not in str(rule.get("hostname"))]


async def test_a_cordon_answers_503_for_the_webhooks_host_and_for_no_other(vendor):
    await vendor.driver.apply(OFF)
    assert vendor.status("fra") == "http_status:503"
    assert vendor.status("fra", "fra.voice.example.com") == "http://bridge:8080"
    assert vendor.status("fra", "shop.example.com") == "http://shop:80"
    assert vendor.status("fra", "unknown.example.org") == "http_status:404"


async def test_a_region_that_comes_back_gets_the_service_that_the_owner_wrote(vendor):
    await vendor.driver.apply(OFF)
    changed = [
        {**rule, "service": "http://bridge-2:9090"} if rule.get("service") == "http://bridge:8080" else rule
        for rule in vendor.document("fra")["ingress"]
    ]
    vendor.rewrite("fra", changed)
    await vendor.driver.apply(ON)
    assert vendor.status("fra") == "http://bridge-2:9090"


async def test_every_rule_that_is_not_ours_and_every_other_member_is_kept_as_it_was(vendor):
    vendor.rewrite("fra", rules("fra"), originRequest={"connectTimeout": 9}, **{"warp-routing": {"enabled": True}})
    for change in (OFF, ON, OFF):
        await vendor.driver.apply(change)
        assert others(vendor) == owners_rules()
        assert vendor.document("fra")["originRequest"] == {"connectTimeout": 9}
        assert vendor.document("fra")["warp-routing"] == {"enabled": True}
        assert vendor.document("fra")["ingress"][-1] == {"service": "http_status:404"}


async def test_the_mark_is_in_the_document_and_says_since_when_and_under_whom(vendor):
    await vendor.driver.apply(OFF)
    first, second = vendor.document("fra")["ingress"][:2]
    assert first == {"hostname": "since-2.epoch-7.fra.eu.holdfast.invalid", "service": "http_status:404"}
    assert second == {"hostname": HOST, "path": ".*", "service": "http_status:503"}
    await vendor.driver.apply(OriginChange(region="fra", enabled=False, epoch=8))
    assert vendor.document("fra")["ingress"][0]["hostname"] == "since-2.epoch-8.fra.eu.holdfast.invalid"


async def test_a_cordon_is_in_force_once_every_connected_connector_runs_it(slow):
    late = slow.world.run(slow.tunnels["fra"], colo="AMS")
    slow.world.stick(slow.tunnels["fra"], late)
    await slow.driver.apply(OFF)
    reading = await slow.driver.read("fra")
    assert reading.enabled is True
    assert len(reading.drift) == 2
    slow.now[0] += 2.0
    reading = await slow.driver.read("fra")
    assert reading.enabled is True
    assert reading.drift == (f"connector {late} runs version 1, turned off in version 2",)
    slow.world.connector(slow.tunnels["fra"], late).stuck = None
    assert await slow.driver.read("fra") == slow.driver.normalise(OFF)


async def test_a_return_is_in_force_once_every_connected_connector_runs_it(slow):
    await slow.driver.apply(OFF)
    slow.now[0] += 2.0
    await slow.driver.apply(ON)
    assert (await slow.driver.read("fra")).enabled is False
    slow.now[0] += 2.0
    assert await slow.driver.read("fra") == slow.driver.normalise(ON)


async def test_waiting_for_connectors_writes_nothing_again(slow):
    await slow.driver.apply(OFF)
    written = slow.writes()
    await slow.driver.apply(OFF)
    assert slow.writes() == written


async def test_an_edit_of_somebody_elses_does_not_make_a_region_look_turned(slow):
    """A document that connectors have not taken up yet says nothing new of us: a false reading would move calls."""
    await slow.driver.apply(OFF)
    slow.now[0] += 2.0
    document = slow.document("fra")["ingress"]
    slow.rewrite("fra", [*document[:-1], {"hostname": "new.example.com", "service": "http://new"}, document[-1]])
    assert await slow.driver.read("fra") == slow.driver.normalise(OFF)


async def test_another_leader_reads_the_same_without_having_seen_the_write(slow):
    """Since when a region is turned lies in the document, not in the memory of who wrote it."""
    await slow.driver.apply(OFF)
    assert (await slow.another(slow.tunnels).read("fra")).enabled is True


async def test_a_connection_that_is_only_pending_is_not_waited_for(slow):
    second = slow.world.run(slow.tunnels["fra"])
    slow.world.lose(slow.tunnels["fra"], second)
    await slow.driver.apply(OFF)
    slow.now[0] += 2.0
    assert await slow.driver.read("fra") == slow.driver.normalise(OFF)
    assert [each.connected for each in await slow.driver.connectors("fra")] == [True, False]


async def test_a_connector_without_a_document_holds_up_a_cordon_and_no_return(vendor):
    """A cloudflared that has just started answers 503; one that goes by a file of its own may answer calls."""
    bare = vendor.world.run(vendor.tunnels["fra"])
    vendor.world.connector(vendor.tunnels["fra"], bare).bare = True
    assert (await vendor.driver.read("fra")).enabled is True
    await vendor.driver.apply(OFF)
    reading = await vendor.driver.read("fra")
    assert reading.enabled is True
    assert reading.drift == (f"connector {bare} has taken up no version of the document",)
    await vendor.driver.apply(ON)
    assert (await vendor.driver.read("fra")).enabled is True


async def test_a_region_out_of_reach_is_cordoned_in_the_document_and_the_reading_says_what_that_means(vendor):
    vendor.world.lose(vendor.tunnels["fra"], vendor.connectors["fra"])
    before = await vendor.driver.read("fra")
    assert before.enabled is True
    assert "no connector is connected, so nothing is routed here" in before.drift[0]
    await vendor.driver.apply(OFF)
    after = await vendor.driver.read("fra")
    assert (after.enabled, after.epoch) == (False, 7)
    assert "1 still listed as reconnecting" in after.drift[0]

    vendor.world.regain(vendor.tunnels["fra"], vendor.connectors["fra"])
    assert vendor.status("fra") == "http_status:503"
    assert await vendor.driver.read("fra") == vendor.driver.normalise(OFF)


async def test_a_rule_above_ours_that_takes_the_host_is_read_as_on_and_put_below(vendor):
    await vendor.driver.apply(OFF)
    above = {"hostname": "*.voice.example.com", "service": "http://new"}
    vendor.rewrite("fra", [above, *vendor.document("fra")["ingress"]])
    reading = await vendor.driver.read("fra")
    assert reading.enabled is True
    assert "a rule above our cordon" in reading.drift[0]
    await vendor.driver.apply(OFF)
    assert vendor.status("fra") == "http_status:503"
    assert others(vendor)[0] == above


async def test_a_503_of_the_owners_own_is_read_as_off_and_not_removed(vendor):
    own = {"hostname": HOST, "service": "http_status:503"}
    vendor.rewrite("fra", [own, *vendor.document("fra")["ingress"]])
    reading = await vendor.driver.read("fra")
    assert reading.enabled is False
    assert f"no rule that is not ours gives {HOST} a service" in reading.drift[0]
    await vendor.driver.apply(ON)
    assert own in vendor.document("fra")["ingress"]


async def test_a_cordon_that_somebody_took_out_by_hand_is_read_as_on(vendor):
    await vendor.driver.apply(OFF)
    vendor.rewrite("fra", [r for r in vendor.document("fra")["ingress"] if r.get("service") != "http_status:503"])
    assert (await vendor.driver.read("fra")).enabled is True
    await vendor.driver.apply(OFF)
    assert await vendor.driver.read("fra") == vendor.driver.normalise(OFF)


async def test_a_write_between_our_read_and_ours_is_told(vendor):
    """There is no ETag: what somebody wrote in that moment is gone, and only he can write it again."""
    vendor.now[0] += 1.0
    vendor.rewrite("fra", [{"hostname": "new.example.com", "service": "http://new"}, *rules("fra")])
    vendor.sim.inject(Fault("stale", seconds=0.5, times=1))
    await vendor.driver.apply(OFF)
    reading = await vendor.driver.read("fra")
    assert reading.enabled is False
    assert "version 2 of the document, written by somebody else" in reading.drift[0]
    await vendor.driver.apply(ON)
    assert (await vendor.driver.read("fra")).drift == ()


async def test_two_zones_may_mark_one_tunnel_and_leave_each_other_alone(vendor):
    theirs = {"hostname": "since-1.epoch-9.fra.us.holdfast.invalid", "service": "http_status:404"}
    cordon = {"hostname": "us.voice.example.com", "path": ".*", "service": "http_status:503"}
    vendor.rewrite("fra", [theirs, cordon, *rules("fra")])
    await vendor.driver.apply(OFF)
    assert vendor.document("fra")["ingress"][2:4] == [theirs, cordon]
    assert (await vendor.driver.read("fra")).epoch == 7


async def test_a_document_on_the_machine_itself_is_refused(vendor):
    local = vendor.world.add("local", rules("fra"), source="local")
    with pytest.raises(DriverError) as refused:
        await vendor.another({"fra": local}).read("fra")
    assert (refused.value.code, refused.value.retryable) == ("LocalConfiguration", False)


async def test_one_tunnel_of_two_regions_says_so_and_cordons_neither():
    async with tunnelled(shared=True) as vendor:
        reading = await vendor.driver.read("fra")
        assert reading.enabled is True
        assert "is also that of ams" in reading.drift[0]
        for attempt in (vendor.driver.apply(OFF), vendor.driver.fence_out("fra", epoch=7)):
            with pytest.raises(DriverError) as refused:
                await attempt
            assert (refused.value.code, refused.value.retryable) == ("SharedTunnel", False)
            assert "give each region a tunnel of its own" in str(refused.value)
        assert vendor.writes() == 0


async def test_a_region_that_is_fenced_out_does_not_come_back(vendor):
    await vendor.driver.fence_out("fra", epoch=7)
    vendor.now[0] += 600.0
    assert vendor.status("fra") is None
    assert vendor.status("ams") == "http://bridge:8080"
    vendor.world.run(vendor.tunnels["fra"])
    assert vendor.enabled("fra")


async def test_on_and_off_never_fence(vendor):
    await vendor.driver.apply(OFF)
    await vendor.driver.apply(ON)
    vendor.world.kick(vendor.tunnels["fra"], None)
    vendor.now[0] += 3.0
    assert vendor.enabled("fra")


async def test_a_fencing_of_which_a_part_was_done_is_finished_by_the_next(vendor):
    """The secret is new and the connections stand: the region still answers until the second request was done."""
    vendor.sim.inject(Fault("error", writes_only=True, times=1, status=502, after=1))
    with pytest.raises(DriverError) as broken:
        await vendor.driver.fence_out("fra", epoch=7)
    assert broken.value.outcome_unknown
    assert vendor.enabled("fra")
    await vendor.driver.fence_out("fra", epoch=7)
    vendor.now[0] += 600.0
    assert vendor.status("fra") is None


async def test_a_replaced_leader_does_not_fence(vendor):
    await vendor.driver.apply(OFF)
    with pytest.raises(DriverError) as refused:
        await vendor.driver.fence_out("fra", epoch=6)
    assert refused.value.code == "Fenced"


async def test_no_error_carries_the_token_or_the_new_secret(vendor):
    vendor.sim.inject(Fault("error", writes_only=True, status=400))
    with pytest.raises(DriverError) as refused:
        await vendor.driver.fence_out("fra", epoch=7)
    assert TOKEN not in str(refused.value)
    assert "a2tr" not in str(refused.value)


async def test_a_tunnel_without_a_service_for_the_host_is_told(vendor):
    vendor.meddle("fra")
    reading = await vendor.driver.read("fra")
    assert reading == OriginReading("fra", enabled=False, drift=reading.drift)
    assert "add one above the catch-all" in reading.drift[0]


async def test_a_region_without_a_tunnel_is_told_before_anything_is_asked(vendor):
    with pytest.raises(DriverError) as refused:
        await vendor.driver.read("par")
    assert (refused.value.code, refused.value.retryable) == ("NoOrigin", False)
    assert vendor.requests() == 0


async def test_a_cordon_costs_two_requests_and_a_reading_two(vendor):
    before = vendor.driver.budget().left
    await vendor.driver.apply(OFF)
    await vendor.driver.read("fra")
    assert before - vendor.driver.budget().left == 4
    assert vendor.driver.name == "tunnel"


async def test_a_document_without_a_version_is_not_believed():
    """Without it nobody could tell which connectors have heard of a cordon."""
    told = {"config": {"ingress": rules("fra")}, "source": "cloudflare"}
    http = httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, json={"success": True, "result": told}))
    )
    driver = CloudflareTunnel(
        name="tunnel", zone="eu", api_url="https://api.cloudflare.com", account_id="a", host=HOST,
        tunnels={"fra": "t"}, token=token, http=http, budget=plenty(), random_bytes=bytes,
    )  # fmt: skip
    with pytest.raises(DriverError) as odd:
        await driver.apply(OFF)
    assert (odd.value.code, odd.value.retryable, odd.value.outcome_unknown) == ("Malformed", True, False)

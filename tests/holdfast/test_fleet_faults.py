"""The vote shell against servers that fail: each failure means "no vote" and nothing more, and none ends the shell."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import httpx
import pytest
from fleet_range import until
from lease_faults import PATH, Booth, Fault, answers, hangs, raises, standing

from holdfast import clock
from holdfast.core.values import Fence
from holdfast.fleet import EPOCH_ANNOTATION, MEMORY_ANNOTATION, VoteShell

FAULTS: dict[str, Fault] = {
    "connection refused": raises(httpx.ConnectError("[Errno 111] Connection refused")),
    "no such name": raises(httpx.ConnectError("[Errno -2] Name or service not known")),
    "certificate of somebody else": raises(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED]")),
    "TLS error": raises(ssl.SSLError(1, "decryption failed or bad record mac")),
    "connection reset": raises(ConnectionResetError(104, "Connection reset by peer")),
    "half an answer": raises(httpx.RemoteProtocolError("peer closed connection without sending complete message body")),
    "401": answers(401),
    "403": answers(403, b"[]"),
    "404": answers(404),
    "409 (#3035)": answers(409),
    "422": answers(422, b'{"message": 7}'),
    "429": answers(429, b""),
    "500": answers(500, b"null"),
    "503": answers(503, b"\x00\x01"),
    "504": answers(504, b'"etcdserver: request timed out"'),
    "redirect": answers(302, b""),
    "200 that is not JSON": answers(200),
    "200 that is a list": answers(200, b"[]"),
    "200 that is another object": answers(200, b'{"kind": "Status"}'),
    "200 with a garbled Lease": answers(200, b'{"metadata": [], "spec": "x"}'),
    "200 with a garbled count": answers(
        200, b'{"metadata": {"resourceVersion": "1"}, "spec": {"leaseTransitions": "many"}}'
    ),
    "200 too deep to parse": answers(200, b"[" * 100_000),
    "ReadTimeout (#3344)": raises(httpx.ReadTimeout("")),
    "hang": hangs,
    "an error nobody thought of (#3572)": raises(LookupError("etcd has no leader")),
}


LEASE_ENDS_S = 3.6
"""Slept, not waited for: a fence is what the clock says of it, so a test that looks late must find none either."""


async def each_fault(claim: Callable[[Fault], Awaitable[None]]) -> None:
    """All at once, since each takes seconds; the name of a task in a failure is the name of the fault."""
    claims = {name: asyncio.ensure_future(claim(fault)) for name, fault in FAULTS.items()}
    await asyncio.wait(claims.values())
    assert {name: error for name, done in claims.items() if (error := done.exception())} == {}


async def test_whatever_one_cluster_answers_the_other_two_elect() -> None:
    async def claim(fault: Fault) -> None:
        booth = Booth()
        booth.fail(fault, "fra")
        vote = booth.candidate("ams")
        async with standing(vote):
            await until(vote.fence, seconds=30)
            assert await vote.confirm()
            assert booth.holders() == ["", "ams", "ams"]

    await each_fault(claim)


async def test_whatever_a_majority_answers_a_leader_ends_within_3_6_s_and_leads_again_after_it() -> None:
    async def claim(fault: Fault) -> None:
        booth = Booth()
        vote = booth.candidate("ams")
        async with standing(vote):
            await _settled(booth, vote)
            epoch = vote.epoch()
            booth.fail(fault, "fra", "iad")
            await asyncio.sleep(LEASE_ENDS_S)
            assert vote.fence() is None
            assert not await vote.confirm()
            booth.fail(None)
            await until(vote.fence, seconds=30)
            assert vote.epoch() > epoch

    await each_fault(claim)


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_a_hang_of_any_kind_of_call_costs_one_vote(method: str) -> None:
    """Reading, renewing and taking, creating."""
    booth = Booth()
    if method == "POST":
        booth.servers["fra"].objects.clear()
    booth.fail(hangs, "fra", methods=(method,))
    vote = booth.candidate("ams")
    async with standing(vote):
        await until(vote.fence, seconds=30)
        assert await vote.confirm()


async def test_a_hang_of_the_release_does_not_keep_the_pod_from_ending() -> None:
    booth = Booth()
    vote = booth.candidate("ams")
    async with standing(vote) as tasks:
        await until(vote.fence)
        booth.fail(hangs)
        began = clock.now()
        tasks["ams"].cancel()
        await asyncio.wait(tasks.values())
        assert clock.now() - began < 10
        assert vote.fence() is None


async def test_3462_servers_that_read_but_do_not_write_leave_nobody_in_power() -> None:
    booth = Booth()
    votes = [booth.candidate(me) for me in ("fra", "ams")]
    async with standing(*votes):
        await until(lambda: any(vote.fence() for vote in votes))
        booth.fail(answers(500), "fra", "iad", methods=("PUT", "POST"))
        await asyncio.sleep(LEASE_ENDS_S)
        assert not any(vote.fence() for vote in votes)
        booth.fail(None)
        await until(lambda: any(vote.fence() for vote in votes), seconds=30)


async def test_3403_all_servers_down_at_once_for_a_moment_changes_nothing() -> None:
    booth = Booth()
    vote = booth.candidate("ams")
    async with standing(vote):
        fence = await _settled(booth, vote)
        booth.fail(raises(httpx.ConnectError("refused")))
        await until(lambda: len(vote.failures()) == 3)
        assert vote.fence() == fence
        booth.fail(None)
        await until(lambda: not vote.failures())
        assert vote.fence() == fence


async def test_3550_a_site_that_needs_0_9_s_for_an_answer_is_a_vote_like_any_other() -> None:
    booth = Booth()
    booth.fail(hangs, "fra")
    booth.servers["iad"].late_s = 0.9
    vote = booth.candidate("ams")
    async with standing(vote):
        await until(vote.fence, seconds=30)
        assert booth.holders() == ["", "ams", "ams"]


async def test_3550_a_leader_that_needs_a_site_half_a_second_away_can_prove_its_fence_and_store() -> None:
    booth = Booth()
    booth.fail(hangs, "fra")
    booth.servers["iad"].late_s = 0.5
    vote = booth.candidate("ams")
    async with standing(vote):
        await until(vote.fence, seconds=30)
        assert await vote.confirm()
        assert await vote.store()


async def test_3248_memory_and_epoch_survive_a_takeover_although_one_voter_missed_them() -> None:
    booth = Booth()
    first, second = booth.candidate("fra"), booth.candidate("ams")
    async with standing(first) as tasks:
        await _settled(booth, first)
        booth.fail(hangs, "ams")
        booth.memory = "iad is out"
        assert await first.store()
        epoch = first.epoch()
        booth.fail(hangs)
        tasks["fra"].cancel()
        await asyncio.wait(tasks.values())
    booth.fail(None)
    booth.fail(hangs, "fra")
    async with standing(second):
        await until(second.fence, seconds=30)
        assert second.epoch() > epoch
        assert "iad is out" in [text for text, _ in second.memories()]


async def test_a_lease_that_somebody_deleted_is_made_anew() -> None:
    booth = Booth()
    vote = booth.candidate("ams")
    async with standing(vote):
        fence = await _settled(booth, vote)
        del booth.servers["fra"].objects[PATH]
        await until(lambda: booth.holders() == ["ams"] * 3, seconds=30)
        assert vote.fence() == fence


async def test_a_lease_without_a_spec_but_with_foreign_notes_is_free_and_keeps_the_notes() -> None:
    booth = Booth()
    for server in booth.servers.values():
        notes = {"tool.example.com/seen": "yes", MEMORY_ANNOTATION: "{not json"}
        server.objects[PATH] = {"metadata": {"name": "vote", "resourceVersion": "7", "annotations": notes}}
    vote = booth.candidate("ams")
    async with standing(vote):
        await until(vote.fence)
        kept = booth.servers["fra"].objects[PATH]["metadata"]["annotations"]
        assert kept["tool.example.com/seen"] == "yes"


@pytest.mark.parametrize("epoch", ["9" * 15, "9" * 30, "-3", "12a", "٣"])
async def test_an_epoch_that_nobody_counted_to_costs_one_vote_and_is_not_counted_on(epoch: str) -> None:
    booth = Booth()
    metadata = {"name": "vote", "resourceVersion": "7", "annotations": {EPOCH_ANNOTATION: epoch}}
    booth.servers["fra"].objects[PATH] = {"metadata": metadata, "spec": {}}
    vote = booth.candidate("ams")
    async with standing(vote):
        await until(vote.fence)
        assert vote.epoch() < 10
        assert booth.holders()[0] == ""


@pytest.mark.parametrize("jump_s", [600.0, -600.0])
async def test_wall_clocks_that_jump_or_differ_change_nothing(jump_s: float) -> None:
    """What a Lease says about time is for people."""
    booth = Booth()
    votes = [booth.candidate(me) for me in ("fra", "ams")]
    async with standing(*votes):
        await until(lambda: any(vote.fence() for vote in votes))
        (leader,) = [vote for vote in votes if vote.fence()]
        fence = await _settled(booth, leader)
        booth.wall_s += jump_s
        assert await leader.confirm()
        renewed = [server.objects[PATH]["spec"]["renewTime"] for server in booth.servers.values()]
        assert sum("00:10" in when or "23:50" in when for when in renewed) >= 2
        await until(lambda: booth.writes() > 12)
        assert leader.fence() == fence


async def test_a_suspended_process_wakes_as_no_leader_and_proves_nothing() -> None:
    """CLOCK_BOOTTIME went on for an hour, the event loop's clock did not."""
    booth, asleep_s = Booth(), 0.0
    vote = booth.candidate("ams", now=lambda: clock.now() + asleep_s)
    async with standing(vote):
        await until(vote.fence)
        asleep_s = 3600.0
        assert vote.fence() is None
        assert not await vote.confirm()
        assert not await vote.store()


async def test_marks_at_the_vendors_lift_the_epoch_of_wiped_leases() -> None:
    booth = Booth()
    vote = booth.candidate("ams", floor=41)
    async with standing(vote):
        await until(vote.fence)
        held = [lease for server in booth.each() if (lease := server.objects[PATH])["spec"]["holderIdentity"]]
        assert {lease["metadata"]["annotations"][EPOCH_ANNOTATION] for lease in held} == {"42"}


async def _settled(booth: Booth, vote: VoteShell) -> Fence | None:
    """Its fence, once it holds every vote."""
    await until(lambda: booth.holders() == [vote._me] * 3)
    return vote.fence()

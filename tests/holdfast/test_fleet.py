"""The vote shell over in-memory API servers: deadlines, lost answers, and never two leaders."""

from __future__ import annotations

import asyncio

from fleet_range import until
from lease_faults import PATH, Booth, standing

from holdfast import clock
from holdfast.fleet import EPOCH_ANNOTATION, MEMORY_ANNOTATION


async def test_one_of_three_candidates_leads_and_the_others_know_whom() -> None:
    booth = Booth()
    votes = [booth.candidate(me) for me in ("fra", "ams", "iad")]
    async with standing(*votes):
        await until(lambda: any(vote.fence() for vote in votes))
        assert sum(vote.fence() is not None for vote in votes) == 1
        (leader,) = [vote for vote in votes if vote.fence()]
        await until(lambda: all(vote.leader() == leader.leader() for vote in votes))


async def test_one_hanging_cluster_does_not_cost_leadership() -> None:
    booth = Booth()
    vote = booth.candidate("fra")
    async with standing(vote):
        await until(lambda: booth.holders() == ["fra", "fra", "fra"])
        booth.each()[0].mode = "hang"
        assert await vote.confirm()
        await until(lambda: "fra" in vote.failures())
        assert vote.fence()


async def test_a_leader_cut_off_from_the_majority_stands_down_by_itself() -> None:
    booth = Booth()
    vote = booth.candidate("fra")
    async with standing(vote):
        await until(vote.fence)
        for server in booth.each()[1:]:
            server.mode = "hang"
        await asyncio.sleep(3.5)
        assert vote.fence() is None


async def test_a_store_is_in_a_majority_before_it_is_acknowledged() -> None:
    booth = Booth()
    vote = booth.candidate("fra")
    async with standing(vote):
        await until(vote.fence)
        booth.each()[2].mode = "down"
        booth.memory = "second"
        assert await vote.store()
        stored = [server.objects[PATH]["metadata"]["annotations"][MEMORY_ANNOTATION] for server in booth.each()[:2]]
        assert stored == ["second", "second"]


async def test_a_store_without_a_majority_is_refused() -> None:
    booth = Booth()
    vote = booth.candidate("fra")
    async with standing(vote):
        await until(vote.fence)
        for server in booth.each()[1:]:
            server.mode = "hang"
        assert not await vote.store()


async def test_a_renewal_whose_answer_is_lost_does_not_lock_us_out_of_our_own_lease() -> None:
    """The candidate's clock runs at a quarter of its speed, so that a busy machine does not cost it the leadership."""
    booth = Booth()
    vote = booth.candidate("fra", now=lambda: clock.now() / 4)
    async with standing(vote):
        await until(vote.fence)
        epoch = vote.epoch()
        for server in booth.each():
            server.hang_after_write = True
        vote.renew()
        await until(lambda: not any(server.hang_after_write for server in booth.each()))
        async with asyncio.timeout(30):
            while not await vote.confirm():
                assert vote.fence(), "locked out"
        assert vote.epoch() == epoch, "renewed from what the Lease had become, not taken anew"


async def test_who_ends_gives_its_votes_back_so_the_next_need_not_wait() -> None:
    booth = Booth()
    first, second = booth.candidate("fra"), booth.candidate("ams")
    async with standing(first) as tasks:
        await until(first.fence)
        epoch = first.epoch()
        tasks["fra"].cancel()
        await asyncio.gather(tasks["fra"], return_exceptions=True)
        async with standing(second):
            assert booth.holders() == ["", "", ""]
            await until(second.fence)
            assert second.epoch() > epoch


async def test_who_ends_while_a_renewal_is_under_way_gives_its_votes_back_all_the_same() -> None:
    """The write was done and its answer is lost with us: the Lease is no longer the one that we read."""
    booth = Booth()
    vote = booth.candidate("fra")
    async with standing(vote) as tasks:
        await until(lambda: booth.holders() == ["fra", "fra", "fra"])
        for server in booth.each():
            server.hang_after_write = True
        vote.renew()
        await until(lambda: not any(server.hang_after_write for server in booth.each()))
        tasks["fra"].cancel()
        await asyncio.gather(tasks["fra"], return_exceptions=True)
        assert booth.holders() == ["", "", ""]


async def test_the_charts_labels_on_a_lease_survive_our_writes() -> None:
    """Helm deletes on upgrade what no longer bears its label, and with the Lease would go its epoch."""
    booth = Booth()
    for server in booth.each():
        server.objects[PATH] = {
            "metadata": {"name": "vote", "resourceVersion": "1", "labels": {"app.kubernetes.io/managed-by": "Helm"}},
            "spec": {},
        }
    vote = booth.candidate("fra")
    async with standing(vote):
        await until(lambda: booth.holders() == ["fra", "fra", "fra"])
    labels = [server.objects[PATH]["metadata"].get("labels") for server in booth.each()]
    assert labels == [{"app.kubernetes.io/managed-by": "Helm"}] * 3


async def test_a_lease_whose_epoch_cannot_be_counted_on_from_is_not_taken() -> None:
    """Sixteen digits are nobody's epoch of ours: the next one might not be readable to the others."""
    booth = Booth()
    for server in booth.each()[:2]:
        metadata = {"name": "vote", "resourceVersion": "1", "annotations": {EPOCH_ANNOTATION: "9" * 16}}
        server.objects[PATH] = {"metadata": metadata, "spec": {}}
    vote = booth.candidate("fra")
    async with standing(vote):
        await until(lambda: all(len(server.requests) >= 2 for server in booth.each()))
        assert [server.writes() for server in booth.each()] == [[], [], []]
        assert vote.fence() is None

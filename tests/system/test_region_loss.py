"""Done on three real clusters: what a caller, an operator and a tenant see when a region is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from pathlib import Path

import stage_fixture
from stage_fixture import dial, dial_into, over, until

from holdfast_gameday.installation import Installation
from holdfast_gameday.lab import names, paths
from holdfast_gameday.lab.commands import LabError
from holdfast_gameday.practice import NUMBERS
from holdfast_gameday.runner import Stage
from holdfast_gameday.world.callers import Outcome
from holdfast_gameday.world.callers_script import Ask, Chat, Goodbye, Listen, Step, Tell

pytestmark = stage_fixture.marks

AGENT = "clinic/front-desk"
HOST = {name: region.host for name, region in names.REGIONS.items()}


async def _serving(installation: Installation, region: str) -> bool:
    """As whichever region of the zone leads says."""
    for name in ("fra", "ams"):
        with contextlib.suppress(LabError):
            status = (await installation.regions[name].read("fop", "eu", deadline_s=3) or {}).get("status", {})
            if status.get("leader") == name:
                return region in status.get("serving", [])
    return False


async def _back(stage, region: str) -> None:
    """The region healed, its bridges answering and its pool on again, as the next test wants to find it."""
    await stage.lab.heal(region)
    await until(lambda: stage.range.answers(region, AGENT), within_s=60, what=f"{region} answers")
    other = next(name for name in ("fra", "ams") if name != region)
    for name in (other, region):
        await until(lambda name=name: _serving(stage.installation, name), within_s=90, what=f"{name} serves")


def _short_call(code: str) -> tuple[Step, ...]:
    return (Listen(), Tell(f"my code is {code}"), Ask("what is my code", code), Goodbye())


async def test_a_short_dwell_is_taken_over_by_the_zone(stage):
    """The tests below lose regions again and again; an edit in fra is followed in ams.

    A dwell below the time that a loss takes to be seen is refused, so the probe is made faster with it.
    """
    probe = {"intervalSeconds": 1, "timeoutMs": 1000, "confirmations": 2, "confirmEveryMs": 200}
    patch = json.dumps({"spec": {"region": {"dwellSeconds": 5, "ramp": [100]}, "probe": probe}})
    await stage.installation.regions["fra"].kubectl("patch", "fop", "eu", "--type=merge", "-p", patch)

    async def followed() -> bool:
        policy = await stage.installation.regions["ams"].read("fop", "eu")
        return policy["spec"]["region"]["dwellSeconds"] == 5

    await until(followed, within_s=15, what="ams has the edit")


async def test_the_wishes_read_well(stage):
    """`kubectl get va,fop,regions` says where an agent runs, who leads and who serves."""
    text = await stage.installation.regions["ams"].kubectl("get", "va,fop,regions", "-A")

    assert "front-desk" in text
    assert "True" in text
    assert max(len(line) for line in text.splitlines()) <= 160


async def test_doctor_finds_nothing_failed_in_a_sound_fleet(stage):
    """Real API servers, real rights, real clocks: whatever it says here it would say to every owner.

    Operators that have just begun, and saw everything start beside them, doubt their own connection for some seconds.
    """
    # The fleet of the lab has one provider, and no name was to be asked from here.
    sound = {"NotReadyForLoss": "warning", "HostSilent": "skipped"}

    async def found_sound() -> bool:
        told = json.loads(await _holdfast(stage, "doctor", "-o", "json"))
        odd = {claim["code"]: claim for claim in told["claims"] if claim["outcome"] != "ok"}
        print(odd)
        return {code: claim["outcome"] for code, claim in odd.items()} == sound

    await until(found_sound, within_s=90, what="the fleet is found sound")


async def test_status_calls_and_latency_tell_of_every_region(stage):
    standing, calls, latency = [await _holdfast(stage, word) for word in ("status", "calls", "latency")]

    for told in (standing, calls, latency):
        assert all(region in told for region in ("fra", "ams"))
        assert "Could not read" not in told
    assert "unseen" not in standing
    assert "<unknown>" not in standing


async def test_a_fleet_without_calls_writes_nothing(stage):
    """Wishes, statuses and children stand still while nothing changes; only the Leases move."""
    kinds = "va,fop,regions,deployments,services,ingresses,configmaps,secrets"

    async def versions() -> dict[tuple[str, str], str]:
        return {
            (name, each["metadata"]["uid"]): each["metadata"]["resourceVersion"]
            for name, cluster in stage.installation.regions.items()
            for each in (await cluster.read(kinds, "-A"))["items"]
        }

    async def stands_still() -> bool:
        before = await versions()
        await asyncio.sleep(10)
        return await versions() == before

    await until(stands_still, within_s=60, what="ten seconds pass without a write")


async def test_the_rehearsal_in_a_real_region_judges_readiness(stage):
    """The chart's CronJob plays the same scenario as a dry run: it reads, judges, and breaks nothing."""
    fra, system = stage.installation.regions["fra"], ("-n", "holdfast-system")
    await fra.kubectl("create", "job", "rehearsal", "--from=cronjob/holdfast-gameday", *system)
    finished = ("wait", "--for=condition=complete", "job/rehearsal", "--timeout=60s")
    await fra.kubectl(*finished, *system, deadline_s=70)
    said = await fra.kubectl("logs", "job/rehearsal", *system)

    assert "✓ others can take over: ams" in said
    assert "PASSED" in said


async def test_a_planned_drain_drops_no_call(stage):
    """A rollout in fra hands every call over at a silent moment."""
    calls = [await dial_into(stage, "fra") for _ in range(4)]
    for call in calls:
        await call.settled.wait()
    fra = stage.installation.regions["fra"]
    await fra.kubectl("rollout", "restart", "deployment/front-desk-bridge", "-n", "clinic")
    await fra.rolled_out("deployment/front-desk-bridge", "clinic")
    await asyncio.sleep(8)
    for call in calls:
        call.finish()
    for call in calls:
        await over(call)

    assert [call.report().detail for call in calls if call.outcome is not Outcome.AGENT_HUNG_UP] == []
    assert all(call.report().fact_answered for call in calls)


async def test_a_killed_operator_is_replaced_by_the_next(stage):
    """Operator killed in the middle: the standby takes the region over, the zone is led again."""
    fra = stage.installation.regions["fra"]
    lease = await fra.read("lease", "holdfast-region", "-n", "holdfast-system")
    holder = lease["spec"]["holderIdentity"]
    pods = await fra.read("pods", "-n", "holdfast-system", "-l", "app.kubernetes.io/name=holdfast-operator")
    victim = next(pod["metadata"]["name"] for pod in pods["items"] if pod["metadata"]["uid"] == holder)
    await fra.kubectl("delete", "pod", victim, "-n", "holdfast-system", "--force", "--grace-period=0")

    async def taken_over() -> bool:
        lease = await fra.read("lease", "holdfast-region", "-n", "holdfast-system")
        return lease["spec"]["holderIdentity"] not in (holder, "")

    await until(taken_over, within_s=15, what="another pod of fra is active")

    async def led() -> bool:
        return await stage.installation.leader("eu") is not None

    await until(led, within_s=15, what="the zone is led")
    await fra.rolled_out("deployment/holdfast-operator", "holdfast-system")


async def test_a_tool_with_side_effects_in_flight_at_the_kill_runs_once(stage):
    """The webhook did its work and answers late; the region dies meanwhile; nobody does it again."""
    tools = stage.range.tools
    before = len(tools.executions)
    tools.delay_s = 4.0
    call = await dial_into(stage, "ams", script=(Listen(), Tell("book tomorrow at ten"), Chat(), Goodbye()))
    await tools.wait_executions(before + 1, timeout_s=30)
    await stage.lab.kill("ams")
    tools.delay_s = 0.0
    await until(lambda: call.host == HOST["fra"], within_s=15, what="the call goes on in fra")
    await call.settled.wait()
    call.finish()
    await over(call)
    await _back(stage, "ams")

    assert call.outcome is Outcome.AGENT_HUNG_UP
    assert len(tools.executions) == before + 1
    assert max(tools.executions_by_call.values()) == 1


async def test_an_agent_ended_call_with_the_buddy_dead_ends_cleanly_and_stays_ended(stage):
    """fra's buddy is ams; ams dies; the goodbye in fra still ends the call, and no `next` revives it."""
    call = await dial_into(stage, "fra", script=(Listen(), Tell("my code is 4711"), Chat(), Goodbye()))
    await call.settled.wait()
    await stage.lab.kill("ams")
    call.finish()
    await over(call)
    visits = len(call.report().visits)
    await asyncio.sleep(3)

    assert call.outcome is Outcome.AGENT_HUNG_UP
    assert len(call.report().visits) == visits == 1
    await _back(stage, "ams")


async def test_new_calls_are_answered_while_a_region_is_silent(stage):
    """A black hole gives no error: short time-outs, the fallback and then the cordon must carry new calls."""
    account, number = stage.range.twilio.state.find_number(NUMBERS["eu"])
    application = account.applications[number.voice_application_sid]
    await until(lambda: HOST["ams"] in application.voice_fallback_url, within_s=20, what="the fallback names ams")
    await stage.lab.blackhole("fra")
    calls = [dial(stage, script=_short_call(str(5000 + n))) for n in range(3)]
    for call in calls:
        await over(call, within_s=60)

    assert [call.report().detail for call in calls if call.outcome is not Outcome.AGENT_HUNG_UP] == []
    assert max(call.report().setup_s for call in calls) <= 11


async def test_describe_tells_why_a_region_is_cordoned(stage):
    async def cordoned() -> bool:
        return not await _serving(stage.installation, "fra")

    await until(cordoned, within_s=20, what="fra is cordoned")
    text = await stage.installation.regions["ams"].kubectl("describe", "region", "fra")

    assert "cordon" in text.lower()
    assert "iad" in text  # who saw it


async def test_explain_answers_while_the_region_it_is_asked_about_is_down(stage):
    told = await _holdfast(stage, "explain", "fra")

    assert "RegionLost" in told
    assert "2 of 2 observers see fra down" in told
    assert "Could not read fra" in told


async def test_status_tells_of_the_whole_fleet_while_a_region_is_silent(stage):
    told = await _holdfast(stage, "status")

    assert "DEGRADED" in told
    assert "Could not read fra" in told
    assert "RegionLost" in told
    await _back(stage, "fra")


async def test_an_agent_deleted_while_a_region_is_down_is_gone_there_soon_after_its_return(stage):
    """Deletion never waits for ams; ams's copy goes by the tombstone once ams is back."""
    fra, ams = stage.installation.regions["fra"], stage.installation.regions["ams"]
    await stage.lab.kill("ams")
    await fra.kubectl("delete", "va", "front-desk", "-n", "clinic", "--timeout=20s")
    await stage.lab.heal("ams")
    started = time.monotonic()

    async def gone() -> bool:
        return await ams.read("va", "front-desk", "-n", "clinic") is None

    await until(gone, within_s=60, what="the copy in ams is gone")
    assert time.monotonic() - started <= 60


async def test_a_deleted_agent_leaves_nothing_behind_in_any_region(stage):
    kinds = "deployment,service,configmap,secret,ingress,poddisruptionbudget,networkpolicy"
    for name in ("fra", "ams"):
        cluster = stage.installation.regions[name]

        async def clean(cluster=cluster) -> bool:
            left = await cluster.read(kinds, "-n", "clinic", "-l", "holdfast.dev/agent=front-desk")
            return left["items"] == []

        await until(clean, within_s=60, what=f"{name} has nothing of the agent")
    account, _ = stage.range.twilio.state.find_number(NUMBERS["eu"])
    await until(lambda: not account.applications, within_s=30, what="the carrier has no application of the agent")


async def _holdfast(stage: Stage, *words: str) -> str:
    """What the plugin prints to somebody whose present cluster is ams."""
    access = stage.installation.regions["ams"]
    plugin = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("kubectl-holdfast"),
        f"--kubeconfig={access.kubeconfig}", "--context=ams", *words,
        env={**os.environ, "PATH": f"{paths.binaries()}:{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        said, _ = await plugin.communicate()
    return said.decode()

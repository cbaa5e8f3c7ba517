"""The control port over real sockets: signed webhooks, one owner per call, and what Kubernetes is told."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from typing import Any

import aiohttp
import pytest
from control_builders import CALL, CARRIER_TOKEN, ZONE_KEY, record
from control_parts import Region, SpokenCall, until
from control_redis import redis_server
from twilio.request_validator import RequestValidator

from holdfast_bridge.core import token
from holdfast_bridge.core.token import Claim
from holdfast_gameday.world.ports import free_port, free_ports

PATH = "/a/clinic/front-desk"
FORM = {"CallSid": CALL, "From": "+4930111", "To": "+4930222"}
HOST = "eu.voice.example.com"


def zone(**changes: Any) -> tuple[Region, Region]:
    fra, ams = free_ports(2)
    hosts = {"fra": f"127.0.0.1:{fra}", "ams": f"127.0.0.1:{ams}"}
    return Region("fra", hosts, **changes), Region("ams", hosts, **changes)


async def ask(
    region: Region,
    path: str,
    *,
    form: dict[str, str] | None = None,
    signed_by: str = CARRIER_TOKEN,
    host: str = "",
    method: str = "POST",
) -> tuple[int, str]:
    form = FORM if form is None else form
    host = host or region.hosts[region.name]
    signature = RequestValidator(signed_by).compute_signature(f"https://{host}{path}", form if method == "POST" else {})
    headers = {"X-Twilio-Signature": signature, "Host": host}
    data = form if method == "POST" else None
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"http://{region.hosts[region.name]}{path}", data=data, headers=headers) as response,
    ):
        return response.status, await response.text()


def claim_in(twiml: str, region: str) -> Claim:
    found = re.search(r'name="token" value="([^"]+)"', twiml)
    assert found is not None, twiml
    claim = token.verify(
        found[1], keys=(ZONE_KEY.encode(),), agent="clinic/front-desk", region=region, now=time.time()
    )
    assert isinstance(claim, Claim)
    return claim


async def test_a_signed_voice_webhook_is_greeted_by_get_and_post() -> None:
    fra, _ = zone()
    async with fra.running():
        status, twiml = await ask(fra, f"{PATH}/fallback")
        assert status == 200
        assert claim_in(twiml, "fra").epoch == 1
        status, twiml = await ask(fra, f"{PATH}/fallback?CallSid={CALL}", method="GET")
        assert status == 200
        assert claim_in(twiml, "fra").call == CALL


async def test_a_caller_is_known_again_by_a_lot_and_his_number_goes_no_further(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    fra, _ = zone()
    async with fra.running():
        said = [
            (await ask(fra, f"{PATH}/fallback", form={**FORM, "CallSid": f"CA{index}", "From": number}))[1]
            for index, number in enumerate(("+491511234567", "+491511234567", "+491511234568", "anonymous"))
        ]
    first, again, other, nobody = [claim_in(twiml, "fra").facts for twiml in said]
    assert first == again
    assert first.lot != other.lot
    assert (first.prefix, first.called) == ("491", "+4930222")
    assert nobody.lot == -1
    shown = repr([vars(record) for record in caplog.records])
    assert "1511234567" not in shown
    for twiml in said:
        body = re.search(r'name="token" value="([^".]+)', twiml)
        assert body is not None
        assert b"1511234567" not in (token.unb64url(body[1]) or b"")


@pytest.mark.parametrize("kind", ["voice", "fallback", f"next?call={CALL}&hop=1"])
async def test_a_bad_signature_is_refused_and_counted(kind: str) -> None:
    fra, _ = zone()
    async with fra.running():
        assert (await ask(fra, f"{PATH}/{kind}", signed_by="somebody else"))[0] == 403
        assert b'refusals_total{reason="webhook_signature"} 1.0' in fra.metrics.exposition(
            calls=0, ready=True, waiting=0, buddy_up=False
        )


async def test_a_name_that_is_not_ours_is_refused_however_well_it_is_signed() -> None:
    fra, _ = zone()
    async with fra.running():
        assert (await ask(fra, f"{PATH}/voice", host="evil.example.com"))[0] == 403


@pytest.mark.parametrize(
    ("path", "form"),
    [
        (f"{PATH}/voice", {}),
        (f"{PATH}/voice", {"CallSid": "not a call"}),
        (f"{PATH}/next?call={CALL}&hop=-1", FORM),
        (f"{PATH}/next?call={CALL}&hop=100", FORM),
        (f"{PATH}/next?call=CAother&hop=1", FORM),
    ],
)
async def test_what_is_signed_but_makes_no_sense_is_400(path: str, form: dict[str, str]) -> None:
    fra, _ = zone()
    async with fra.running():
        assert (await ask(fra, path, form=form))[0] == 400


async def test_another_agents_path_is_not_here() -> None:
    fra, _ = zone()
    async with fra.running():
        assert (await ask(fra, "/a/clinic/other/voice"))[0] == 404


async def test_next_finds_the_call_in_the_zone_and_takes_it_over() -> None:
    fra, ams = zone()
    fra.memory.put(record(epoch=2, seq=9))
    async with fra.running(), ams.running():
        status, twiml = await ask(ams, f"{PATH}/next?call={CALL}&hop=1")
        assert status == 200
        assert claim_in(twiml, "ams").epoch == 3
        assert f"wss://{ams.hosts['ams']}{PATH}/media" in twiml
        kept = ams.memory.get(CALL)
        assert kept is not None
        assert (kept.epoch, kept.region, kept.pod) == (3, "ams", "")


async def test_next_asked_again_for_the_same_hop_says_the_same() -> None:
    _, ams = zone()
    ams.memory.put(record(epoch=1))
    async with ams.running():
        first = await ask(ams, f"{PATH}/next?call={CALL}&hop=1")
        again = await ask(ams, f"{PATH}/next?call={CALL}&hop=1")
        assert first == again
        assert claim_in(first[1], "ams").epoch == 2


async def test_a_person_who_does_not_answer_is_followed_by_a_machine_and_one_who_does_by_nothing() -> None:
    """Though the call is unfinished, and its last answer is remembered."""
    fra, _ = zone(escalation={"transferTo": "+4930123456", "voicemail": True})
    async with fra.running():
        fra.memory.put(record(epoch=1))
        await ask(fra, f"{PATH}/next?call={CALL}&hop=0")
        path = f"{PATH}/next?call={CALL}&after=dial"
        assert "<Record " in (await ask(fra, path, form={**FORM, "DialCallStatus": "busy"}))[1]
        done = '<?xml version="1.0" encoding="UTF-8"?><Response><Hangup/></Response>'
        assert (await ask(fra, path, form={**FORM, "DialCallStatus": "completed"}))[1] == done
        assert (await ask(fra, f"{PATH}/next?call={CALL}&after=record"))[1] == done


async def test_a_call_that_nobody_can_serve_has_ended_for_the_zone_and_its_caller_goes_on_to_the_machine() -> None:
    """Else its record would stay open, and a rescue would take the caller away from whom he was put through to."""
    fra, ams = zone(escalation={"transferTo": "+4930123456", "voicemail": True})
    fra.memory.put(record(epoch=3, updated_at=1001.0))
    async with ams.running(), fra.running(linked_to="ams"):
        await until(lambda: fra.link.up)
        given_up = await ask(fra, f"{PATH}/next?call={CALL}&hop=3")
        assert "<Dial " in given_up[1]
        assert await ask(fra, f"{PATH}/next?call={CALL}&hop=3") == given_up, "its answer may have been lost"
        over = fra.memory.get(CALL)
        assert over is not None
        assert (over.state, over.epoch, over.region, over.pod) == ("ended", 7, "fra", "")
        await until(lambda: ams.memory.get(CALL) == over)
        ams.journal.put(record(epoch=6, seq=50, region="ams"))
        assert ams.memory.get(CALL) == over, "three streams may have been elsewhere of which nothing was heard here"
        busy = {**FORM, "DialCallStatus": "busy"}
        assert "<Record " in (await ask(ams, f"{PATH}/next?call={CALL}&after=dial", form=busy))[1]
        assert "<Record " in (await ask(fra, f"{PATH}/next?call={CALL}&after=dial", form=busy))[1]
        assert ams.memory.still_since("fra", at_least_s=0.0) == []


async def test_once_the_call_was_claimed_next_means_next() -> None:
    _, ams = zone()
    ams.memory.put(record(epoch=1))
    async with ams.running():
        first = await ask(ams, f"{PATH}/next?call={CALL}&hop=1")
        assert claim_in(first[1], "ams").epoch == 2
        ams.journal.put(record(epoch=2, seq=1, region="ams", pod="pod-ams"))
        again = await ask(ams, f"{PATH}/next?call={CALL}&hop=1")
        assert claim_in(again[1], "ams").epoch == 3


async def test_of_racing_nexts_at_two_pods_only_one_epoch_comes_out() -> None:
    async with redis_server() as server:
        one, _ = zone(redisUrl=server.url)
        two = Region("fra", {"fra": f"127.0.0.1:{free_port()}"})
        pods = [Region("fra", one.hosts, redis_url=server.url), Region("fra", two.hosts, redis_url=server.url)]
        async with pods[0].running(), pods[1].running():
            assert pods[0].redis is not None
            await pods[0].redis.put_many([record(epoch=1)])
            answers = await asyncio.gather(*(ask(pod, f"{PATH}/next?call={CALL}&hop=1") for pod in pods * 4))
        assert {status for status, _ in answers} == {200}
        assert {claim_in(twiml, "fra").epoch for _, twiml in answers} == {2}
        assert len({claim_in(twiml, "fra").nonce for _, twiml in answers}) == 1


async def test_a_call_taken_over_here_silences_its_old_owner_here() -> None:
    fra, _ = zone()
    old = SpokenCall(record(epoch=1))
    fra.calls.add(old)
    fra.memory.put(old.record)
    async with fra.running():
        await ask(fra, f"{PATH}/next?call={CALL}&hop=0")
        assert old.silenced_by == [2]


async def test_a_finished_call_is_hung_up() -> None:
    fra, _ = zone()
    fra.memory.put(record(state="ended"))
    async with fra.running():
        status, twiml = await ask(fra, f"{PATH}/next?call={CALL}&hop=1")
        assert status == 200
        assert "<Hangup/>" in twiml
        assert "<Stream" not in twiml


async def test_with_the_buddy_dead_nothing_is_sent_there() -> None:
    fra, ams = zone()
    async with fra.running(linked_to="ams"):
        await until(lambda: fra.link.unreachable() == {"ams"}, within_s=30)
        _, twiml = await ask(fra, f"{PATH}/voice")
        assert ams.hosts["ams"] not in twiml
        assert claim_in(twiml, "fra").region == "fra"


async def test_a_directive_keeps_new_calls_away_from_a_cordoned_region() -> None:
    fra, _ = zone()
    fra.told(buddy="ams", lost=("ams",))
    async with fra.running():
        for number in range(10):
            call = f"CA{number:032x}"
            _, twiml = await ask(fra, f"{PATH}/voice", form={"CallSid": call})
            assert claim_in(twiml, "fra").call == call


async def test_readiness_names_its_reason_and_health_does_not_care(caplog: pytest.LogCaptureFixture) -> None:
    fra, _ = zone()
    caplog.set_level("INFO", "holdfast_bridge.control_port")
    async with fra.running(), aiohttp.ClientSession() as http:
        base = f"http://{fra.hosts['fra']}"

        async def ready() -> tuple[int, Any]:
            async with http.get(f"{base}/readyz") as response:
                return response.status, await response.json()

        assert await ready() == (200, {"ready": True, "reasons": []})
        for number in range(9):
            fra.calls.add(SpokenCall(record(call=f"CA{number}")))
        assert await ready() == (503, {"ready": False, "reasons": ["full: 9 of 10 calls"]})
        fra.calls.add(SpokenCall(record(call="CA9")))
        await ready()
        fra.health.stopping = True
        assert (await ready())[1]["reasons"][0] == "draining"
        told = [(line.getMessage(), line.__dict__["reasons"]) for line in caplog.records if "ready" in line.message]
        assert told == [
            ("not ready", ["full: 9 of 10 calls"]), ("not ready", ["draining", "full: 10 of 10 calls"]),
        ], "once for each reason, not for each number"  # fmt: skip
        async with http.get(f"{base}/healthz") as response:
            assert response.status == 200
        async with http.get(f"{base}/metrics") as response:
            text = await response.text()
        assert "holdfast_bridge_calls" in text
        assert CALL not in text

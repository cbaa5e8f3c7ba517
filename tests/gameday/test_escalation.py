"""A caller whom no provider can serve, at a real bridge process and a simulated carrier: he gets somebody, or words."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import world_twilio_region as w

from holdfast_gameday.lab import certs
from holdfast_gameday.matrix import bridges
from holdfast_gameday.matrix.entry import Entry
from holdfast_gameday.world import tls
from holdfast_gameday.world.ports import free_port
from holdfast_gameday.world.twilio import TwilioSettings, TwilioSim
from holdfast_gameday.world.twilio_aside import Person
from holdfast_gameday.world.twilio_call import CarrierCall, EndedBy

pytestmark = pytest.mark.programs

HOST = "bridge.escalation.example"
PERSON, BUSY = "+493015550101", "+493015550102"
PEOPLE = {PERSON: Person(0.1, talks_s=0.3), BUSY: Person(busy=True)}
SERVED = ("localhost", "127.0.0.1", HOST)


class Talker(w.Handset):
    """Speaks for ten seconds from the carrier's second announcement on, which is itself shorter."""

    def carrier_said(self, text: str, now: float) -> None:
        super().carrier_said(text, now)
        if len(self.said) == 2:
            self.frames = [b"\x55" * 160] * 500


async def called(folder: Path, phone: w.Handset, escalation: Mapping[str, Any]) -> CarrierCall:
    """A whole call for an agent whose only provider cannot be reached."""
    authority = certs.authority()
    server = tls.server_context(*certs.leaf(SERVED))
    settings = TwilioSettings(names={HOST: "127.0.0.1"}, trust=tls.client_context(authority), people=PEOPLE)
    twilio = TwilioSim(settings)
    account = twilio.state.add_account(w.ACCOUNT, auth_token=w.TOKEN)
    url = f"ws://127.0.0.1:{free_port()}"
    attempt = {"name": "gone", "kind": "openai", "model": "m", "voice": "marin", "baseUrl": url}
    async with Entry().serving(server) as entry, twilio.serving("127.0.0.1", 0, ssl_context=server) as carrier:
        assert carrier.address is not None
        host = f"{HOST}:{entry.port}"
        given = bridges.Given(
            host=host,
            attempts=((attempt, {"": "k"}),),
            persona={"instructions": "Be kind.", "greeting": "Hello!", "language": "de"},
            tools=(),
            account=w.ACCOUNT,
            auth_token=w.TOKEN,
            carrier_url=f"https://localhost:{carrier.address.port}",
            trust=authority,
            escalation=escalation,
        )
        async with bridges.bridge(given, folder / "bridge") as entry.bridges[HOST]:
            w.number(twilio, f"https://{host}/a/matrix/agent/voice")
            assert account.numbers
            call = twilio.place("+491555000001", to=w.NUMBER, phone=phone)
            async with asyncio.timeout(60):
                await call.over.wait()
    assert call.ending is not None
    assert call.ending.by is EndedBy.HANGUP_VERB, call.ending
    return call


def told(call: CarrierCall, kind: str) -> list[str]:
    return [event.detail for event in call.events if event.kind == kind]


async def test_he_is_connected_to_a_person(tmp_path: Path) -> None:
    phone = w.Handset()
    call = await called(tmp_path, phone, {"transferTo": PERSON, "voicemail": True})
    assert told(call, "dial") == ["completed"]
    assert told(call, "recorded") == []
    assert len(phone.said) == 1


async def test_a_person_who_is_busy_is_followed_by_the_machine(tmp_path: Path) -> None:
    phone = Talker()
    call = await called(tmp_path, phone, {"transferTo": BUSY, "voicemail": True})
    assert told(call, "dial") == ["busy"]
    [recorded] = told(call, "recorded")
    assert recorded != "0 frames"
    assert len(phone.said) == 2


async def test_with_nobody_to_turn_to_he_hears_an_apology_in_his_language(tmp_path: Path) -> None:
    phone = w.Handset()
    call = await called(tmp_path, phone, {})
    assert told(call, "dial") + told(call, "recorded") == []
    assert [words[:6] for words in phone.said] == ["Leider"]

"""Which addresses carriers should hold: every application always, a number only where a lever names its account."""

from __future__ import annotations

from dataclasses import replace

from core_builders import regions, zone

from holdfast.core import addresses
from holdfast.core.addresses import Address
from holdfast.core.agents import AgentSpec, Number, Persona
from holdfast.core.fallback import Fallback
from holdfast.core.means import Carrier, Lever, Tenant
from holdfast.core.pointing import Pointing
from holdfast.core.values import AgentRef, Reason, Zone

DESK = AgentRef("clinic", "front-desk")
ACCOUNTS = (Carrier("twilio-eu", "twilio", "AC1", "", "t"), Carrier("telnyx-eu", "telnyx", "", "", "x"))
TENANTS = (Tenant(("clinic",), ("twilio-eu",)), Tenant(("dental",), ("telnyx-eu",)))
EU = replace(zone(), carriers=ACCOUNTS, tenants=TENANTS)
BY_EDGE = Pointing(EU.host, None, Reason("ByEdge", ""))
DIRECT = Pointing("ams.voice.example.com", "ams", Reason("NoEdge", ""))
TO_AMS = Fallback("ams", True, Reason("SeparateRegion", ""))
NUMBERS = Lever("numbers", "twilioNumber", "", "", "", points=True, carrier="twilio-eu", enforce=False)
APPLICATIONS = Lever("apps", "twilioApplication", "", "", "", points=True, carrier="twilio-eu")


def spec(*numbers: Number) -> AgentSpec:
    return AgentSpec(zone="eu", persona=Persona("", ""), attempts=(), numbers=numbers)


def found(of: Zone, pointing: Pointing = BY_EDGE, *numbers: Number, agent: AgentRef = DESK) -> tuple[Address, ...]:
    return addresses.wanted(
        of, {agent: spec(*numbers)}, regions=regions(of), pointing=pointing, fallback=TO_AMS
    )


def test_an_application_names_the_edge_first_and_a_region_behind_it():
    (one,) = found(EU, BY_EDGE, Number("twilio-eu", "+491"))
    assert one == Address(
        "applications of twilio-eu", "holdfast eu/clinic/front-desk", DESK,
        "https://eu.voice.example.com/a/clinic/front-desk/voice#ct=1000&rt=3000&rc=1",
        "https://ams.voice.example.com/a/clinic/front-desk/fallback#ct=1000&rt=3000&rc=1",
    )  # fmt: skip


def test_an_agent_without_a_number_has_one_in_every_account_that_its_namespace_may_use():
    assert [one.holder for one in found(EU)] == ["applications of twilio-eu"]
    assert [one.holder for one in found(EU, agent=AgentRef("dental", "desk"))] == ["applications of telnyx-eu"]


def test_an_application_goes_round_the_edge_only_where_a_lever_says_so():
    plain, *_ = found(EU, DIRECT, Number("twilio-eu", "+491"))
    moved, *_ = found(replace(EU, levers=(APPLICATIONS,)), DIRECT, Number("twilio-eu", "+491"))
    trial, *_ = found(replace(EU, levers=(replace(APPLICATIONS, dry_run=True),)), DIRECT, Number("twilio-eu", "+491"))
    assert plain.voice_url.startswith("https://eu.voice.example.com/")
    assert moved.voice_url.startswith("https://ams.voice.example.com/")
    assert trial == plain


def test_a_number_is_held_where_a_lever_names_its_account():
    of = replace(EU, levers=(NUMBERS,))
    numbers = (Number("twilio-eu", "+491"), Number("telnyx-eu", "+492"))
    (held,) = [one for one in found(of, DIRECT, *numbers) if one.holder == "numbers"]
    assert (held.name, held.enforce, held.dry_run) == ("+491", False, False)
    assert held.voice_url.startswith("https://ams.voice.example.com/a/clinic/front-desk/voice")


def test_a_long_name_ends_in_a_digest_so_that_two_agents_never_share_one():
    one, other = AgentRef("clinic", "front-desk-" * 6 + "1"), AgentRef("clinic", "front-desk-" * 6 + "2")
    names = {addresses.name_of(one, EU), addresses.name_of(other, EU)}
    assert len(names) == 2
    assert {len(name) for name in names} == {64}
    assert all(name.startswith("holdfast eu/clinic/front-desk-") for name in names)


def test_only_a_carrier_that_reads_time_outs_in_an_address_is_told_them_there():
    telnyx = replace(NUMBERS, kind="telnyxNumber", carrier="telnyx-eu")
    held = found(replace(EU, levers=(telnyx,)), DIRECT, Number("telnyx-eu", "+492"))
    assert [(one.holder, one.voice_url) for one in held] == [
        ("applications of telnyx-eu", "https://ams.voice.example.com/a/clinic/front-desk/voice"),
        ("numbers", "https://ams.voice.example.com/a/clinic/front-desk/voice"),
    ]

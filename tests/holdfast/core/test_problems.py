"""What is wrong with a policy or an agent beside the others: which object, which field, what was seen, what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core_builders import region, regions, zone

from holdfast.core import problems
from holdfast.core.agents import AgentSpec, Attempt, Escalation, Number, Persona, Tool
from holdfast.core.means import Carrier, Tenant
from holdfast.core.values import AgentRef, Region, Zone, ZoneRegion

HOSTS = ("eu.api.example.com", "tools.example.com")
CLINIC = Tenant(("clinic",), carriers=("twilio-eu",), numbers=("+4930555010",), hosts=HOSTS)
EU = replace(zone(), tenants=(CLINIC,), signing_secret="zone-eu")
REGIONS = {**regions(EU), "iad": replace(region("iad"), jurisdiction="us")}
REF = AgentRef("clinic", "front-desk")
ATTEMPT = Attempt("openai", "openai", model="gpt-realtime", base_url="wss://eu.api.example.com/v1")
ABROAD = Attempt("abroad", "openai", model="gpt-realtime", base_url="wss://us.api.example.com/v1")
HEARING = Attempt("cascade/hearing", "deepgram-nova", base_url="wss://eu.api.example.com")
THINKING = Attempt("cascade/thinking", "anthropic", model="m", base_url="https://eu.api.example.com")
SPEAKING = Attempt("cascade/speaking", "cartesia", base_url="wss://eu.api.example.com")
CASCADE = Attempt("cascade", "cascade", stages=(HEARING, THINKING, SPEAKING))


def told(*found: problems.Reason) -> list[tuple[str, str]]:
    return [(reason.code, reason.message) for reason in found]


def codes(*found: problems.Reason) -> list[str]:
    return [reason.code for reason in found]


def with_region(name: str, **changes: object) -> dict[str, Region]:
    return {**REGIONS, name: replace(REGIONS[name], **changes)}


def naming(name: str, *numbers: str) -> Zone:
    return replace(EU, name=name, tenants=(replace(CLINIC, numbers=numbers),))


def spec(*attempts: Attempt, numbers: tuple[Number, ...] = (), tools: tuple[Tool, ...] = ()) -> AgentSpec:
    return AgentSpec("eu", Persona("Be brief.", "Hello."), attempts or (ATTEMPT,), tools, numbers)


# Policies.


def test_a_policy_in_good_order_has_no_problem():
    assert problems.of_policy(EU, REGIONS) == ()


def test_every_region_and_witness_that_is_not_there_is_named():
    assert told(*problems.of_policy(EU, {"fra": REGIONS["fra"]})) == [
        ("UnknownRegion", "spec.regions[ams]: there is no Region ams"),
        ("UnknownRegion", "spec.witnesses: there is no Region iad"),
    ]


def test_a_region_outside_the_residency_is_named_with_where_it_lies():
    of = zone(("fra", "iad"), witnesses=())

    assert told(*problems.of_policy(of, REGIONS)) == [
        ("RegionOutsideResidency", "spec.regions[iad]: Region iad lies in us, the residency is eu"),
    ]


def test_a_zone_in_which_no_region_may_take_its_calls_says_so_first():
    found = problems.of_policy(zone(("iad",), witnesses=()), REGIONS)

    assert codes(*found) == ["NoLegalRegion", "RegionOutsideResidency"]
    assert found[0].message == (
        "spec.regions: no Region may take calls of residency eu (iad lies in us); name one that lies there"
    )


def test_as_long_as_no_region_is_known_none_is_called_illegal():
    """Objects arrive in any order, and a policy may be the first."""
    assert codes(*problems.of_policy(EU, {})) == ["UnknownRegion"] * 3


def test_a_lever_at_which_a_region_has_no_origin_is_named():
    assert told(*problems.of_policy(EU, with_region("ams", origins={}))) == [
        ("MissingOrigin", "spec.levers[edge]: Region ams has no spec.origins.edge"),
    ]


@pytest.mark.parametrize(
    ("there", "message"),
    [
        (
            with_region("ams", host="fra.voice.example.com"),
            "spec.regions[ams]: Region fra has the same host fra.voice.example.com",
        ),
        (
            with_region("ams", origins={"edge": "pool-fra"}),
            "spec.levers[edge]: Regions fra and ams have the same origin pool-fra",
        ),
        (
            with_region("ams", host="eu.voice.example.com"),
            "spec.host: eu.voice.example.com is also the host of Region ams",
        ),
    ],
)
def test_a_fallback_that_would_lead_back_is_refused(there: dict[str, Region], message: str):
    tail = ", so a fallback may lead back to where it came from; give each its own"

    assert told(*problems.of_policy(EU, there)) == [("CyclicFallback", message + tail)]


def test_a_zone_of_one_region_may_be_called_by_its_regions_name():
    """There is nowhere to fall back to, so nothing can lead back."""
    there = with_region("fra", host="eu.voice.example.com")

    assert problems.of_policy(replace(EU, regions=(ZoneRegion("fra", 1),)), there) == ()


def test_the_secrets_of_a_zone_are_named_with_their_fields_and_keys():
    """A lever that uses its carrier's account has none of its own."""
    edge, numbers = replace(EU.levers[0], secret="cloudflare"), replace(EU.levers[0], name="numbers", points=True)
    accounts = (Carrier("twilio-eu", "twilio", "AC1", "", "twilio"), Carrier("telnyx-eu", "telnyx", "", "", "telnyx"))
    of = replace(EU, carriers=accounts, levers=(edge, numbers))

    assert problems.secrets_of(of) == (
        ("spec.signing", "zone-eu", ("current",)),
        ("spec.carriers[twilio-eu]", "twilio", ("authToken", "apiKey", "apiSecret")),
        ("spec.carriers[telnyx-eu]", "telnyx", ("apiKey",)),
        ("spec.levers[edge]", "cloudflare", ("token",)),
    )


def test_a_lever_that_points_asks_no_region_for_an_origin():
    numbers = replace(EU.levers[0], name="numbers", points=True)

    assert problems.of_policy(replace(EU, levers=(*EU.levers, numbers)), with_region("fra")) == ()


# Numbers that several policies name.


def test_a_number_of_two_policies_is_contested_for_both():
    one, other = naming("eu", "+491", "+492"), naming("eu-2", "+492", "+493")

    assert problems.contested(one, (one, other)) == {"+492": ("eu", "eu-2")}
    assert problems.contested(other, (one, other)) == {"+492": ("eu", "eu-2")}


def test_a_number_that_one_policy_names_twice_is_not_contested():
    of = replace(EU, tenants=(CLINIC, replace(CLINIC, namespaces=("dental",))))

    assert problems.contested(of, (of, naming("us", "+1202"))) == {}
    assert problems.of_numbers({}) == ()


def test_a_contested_number_is_told_with_all_who_name_it():
    assert told(*problems.of_numbers({"+492": ("eu", "eu-2")})) == [
        (
            "NumberContested",
            (
                "spec.tenants[].numbers: +492 is named by FailoverPolicies eu, eu-2; "
                "such a number stays as it is until only one policy names it"
            ),
        )
    ]


def test_of_many_contested_numbers_a_few_are_told():
    (reason,) = problems.of_numbers({f"+49{number}": ("eu", "eu-2") for number in range(500)})

    assert "; 497 more are contested; " in reason.message
    assert len(reason.message) < 400


# Agents.


def test_an_agent_that_keeps_to_its_policy_has_no_problem():
    number = Number("twilio-eu", "+4930555010")

    assert problems.of_agent(REF, spec(numbers=(number,)), EU) == ()


def test_an_agent_without_a_policy_says_which_is_not_there():
    assert told(*problems.of_agent(REF, spec(), None)) == [
        ("UnknownPolicy", "spec.failoverPolicy: there is no accepted FailoverPolicy eu in this cluster"),
    ]


def test_a_namespace_that_no_tenant_names_may_not_use_the_zone():
    assert told(*problems.of_agent(AgentRef("dental", "reception"), spec(), EU)) == [
        ("NamespaceNotAllowed", "spec.failoverPolicy: FailoverPolicy eu names no tenant with namespace dental"),
    ]


def test_a_foreign_carrier_and_a_foreign_number_are_each_refused_by_field():
    found = problems.of_agent(REF, spec(numbers=(Number("telnyx", "+4930555099"),)), EU)

    assert told(*found) == [
        ("CarrierNotAllowed", "spec.telephony.numbers[0].carrier: namespace clinic may not use carrier telnyx"),
        ("NumberNotAllowed", "spec.telephony.numbers[0].number: namespace clinic may not use this number"),
    ]


def test_a_contested_number_is_given_to_no_agent():
    contest = {"+4930555010": ("eu", "eu-2")}
    found = problems.of_agent(REF, spec(numbers=(Number("twilio-eu", "+4930555010"),)), EU, contest=contest)

    assert told(*found) == [
        (
            "NumberContested",
            (
                "spec.telephony.numbers[0].number: FailoverPolicies eu, eu-2 name this number; "
                "it stays as it is until only one does"
            ),
        )
    ]


def transferring(number: str, *prefixes: str) -> list[tuple[str, str]]:
    granted = replace(EU, tenants=(replace(CLINIC, transfer_prefixes=prefixes),))
    return told(*problems.of_agent(REF, replace(spec(), escalation=Escalation(transfer_to=number)), granted))


def test_callers_are_transferred_only_where_the_policy_lets_them():
    field = "spec.telephony.escalation.transferTo"
    assert transferring("+4930123456", "+4930") == []
    assert transferring("+4940123456", "+4930") == [
        (
            "TransferNotAllowed",
            (
                f"{field}: namespace clinic may not transfer callers there; name the beginning of the number in "
                "tenants[].transferPrefixes of FailoverPolicy eu"
            ),
        )
    ]
    assert transferring("+88216123456", "+8") == [
        ("TransferNotAllowed", f"{field}: callers are never transferred to satellite or premium numbers"),
    ]


def test_a_host_that_no_tenant_entry_names_is_refused_by_attempt():
    assert told(*problems.of_agent(REF, spec(ATTEMPT, ABROAD), EU)) == [
        (
            "HostOutsideResidency",
            (
                "spec.attempts[abroad].realtime.baseUrl: namespace clinic may not send calls to us.api.example.com, "
                "which is not among tenants[].hosts of FailoverPolicy eu"
            ),
        )
    ]


def test_an_agent_without_a_legal_attempt_says_where_no_call_could_be_answered():
    found = problems.of_agent(REF, spec(ABROAD, Attempt("local", "loopback")), EU)

    assert codes(*found) == ["HostOutsideResidency", "HostOutsideResidency", "NoLegalAttempt"]
    assert found[-1].message == (
        "spec.attempts: none of them may be used in fra, ams, so no call could be answered there; name an attempt "
        "that is meant for it, declares all of spec.compliance and lies at tenants[].hosts of FailoverPolicy eu"
    )


def test_every_stage_lies_at_a_host_that_is_granted():
    thinking = replace(THINKING, base_url="https://us.api.example.com")

    assert problems.of_agent(REF, spec(CASCADE), EU) == ()
    assert told(*problems.of_agent(REF, spec(ATTEMPT, replace(CASCADE, stages=(HEARING, thinking, SPEAKING))), EU)) == [
        (
            "HostOutsideResidency",
            (
                "spec.attempts[cascade].cascade.llm.baseUrl: namespace clinic may not send calls to "
                "us.api.example.com, which is not among tenants[].hosts of FailoverPolicy eu"
            ),
        )
    ]


def test_each_region_has_an_attempt_that_may_be_made_there():
    """Where it is not meant to be made, or does not declare what is asked for, it is none."""
    only_fra = replace(ATTEMPT, regions=frozenset({"fra"}))
    undeclared = replace(spec(), compliance=frozenset({"hipaa"}))
    declared = replace(spec(replace(ATTEMPT, declares=frozenset({"hipaa", "soc2"}))), compliance=frozenset({"hipaa"}))

    (found,) = problems.of_agent(REF, spec(only_fra), EU)
    assert (found.code, found.message[:54]) == (
        "NoLegalAttempt", "spec.attempts: none of them may be used in ams, so no "
    )
    assert problems.of_agent(REF, spec(only_fra, CASCADE), EU) == ()
    assert codes(*problems.of_agent(REF, undeclared, EU)) == ["NoLegalAttempt"]
    assert problems.of_agent(REF, declared, EU) == ()


def test_a_region_that_the_policy_does_not_have_is_named():
    somewhere = replace(CASCADE, regions=frozenset({"fra", "par"}))

    assert told(*problems.of_agent(REF, spec(ATTEMPT, somewhere), EU)) == [
        ("UnknownRegion", "spec.attempts[cascade].regions: FailoverPolicy eu has no region par"),
    ]


def test_an_option_that_its_kind_does_not_have_is_named_with_the_field_it_stands_in():
    loud = replace(SPEAKING, options={"loudness": 11, "speed": "fast"})
    found = problems.of_agent(
        REF, spec(replace(ATTEMPT, options={"temperature": 1}), replace(CASCADE, stages=(HEARING, THINKING, loud))), EU
    )

    assert told(*found) == [
        (
            "InvalidSpec",
            (
                "spec.attempts[openai].realtime.options.temperature: openai has no such option; "
                "it has extra, transcription"
            ),
        ),
        (
            "InvalidSpec",
            (
                "spec.attempts[cascade].cascade.tts.options.loudness: cartesia has no such option; "
                "it has emotion, maxBufferDelayMs, speed, volume"
            ),
        ),
        ("InvalidSpec", "spec.attempts[cascade].cascade.tts.options.speed: it must be a number from 0.6 to 1.5"),
    ]


def test_a_language_that_a_stage_does_not_hear_is_told():
    flux = replace(CASCADE, stages=(replace(HEARING, kind="deepgram-flux"), THINKING, SPEAKING))
    polish = replace(spec(flux), persona=Persona("", "", language="pl-PL"))

    assert told(*problems.of_agent(REF, polish, EU)) == [
        (
            "InvalidSpec",
            (
                "spec.attempts[cascade].cascade.stt.kind: deepgram-flux hears "
                "de, en, es, fr, hi, it, ja, nl, pt, ru, and not pl"
            ),
        )
    ]


@pytest.mark.parametrize(("size", "found"), [(16_384, []), (16_385, ["ParametersTooLarge"])])
def test_the_parameters_of_a_tool_are_bounded(size: int, found: list[str]):
    tool = Tool("book", "", {"a": "x" * (size - len('{"a": ""}'))}, "https://tools.example.com", 200, side_effects=True)

    assert codes(*problems.of_agent(REF, spec(tools=(tool,)), EU)) == found


BOOK = Tool("book", "", {}, "https://tools.example.com/book", 200, side_effects=True)


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"type": "strin"}, "$.type: 'strin' is not valid under any of the given schemas"),
        ({"$ref": "https://a.example"}, "$ref 'https://a.example' leads out of the schema; only #/… is followed"),
        (
            {"properties": {"day": {"pattern": "(?=a)"}}},
            "pattern '(?=a)' is not a regular expression of RE2: invalid perl operator: (?=",
        ),
    ],
)
def test_parameters_by_which_no_argument_could_be_checked_are_told(parameters: dict[str, object], why: str):
    tool = replace(BOOK, parameters=parameters)

    assert told(*problems.of_agent(REF, spec(tools=(tool,)), EU)) == [
        ("InvalidSpec", f"spec.tools[book].parameters: {why}")
    ]


def test_a_tools_host_is_granted_as_a_providers_is():
    tool = replace(BOOK, url="https://tools.example.org/book")

    assert told(*problems.of_agent(REF, spec(tools=(tool,)), EU)) == [
        (
            "HostOutsideResidency",
            (
                "spec.tools[book].webhook.url: namespace clinic may not send calls to tools.example.org, "
                "which is not among tenants[].hosts of FailoverPolicy eu"
            ),
        )
    ]


def test_a_tool_in_the_cluster_needs_networks_that_the_policy_grants_to_its_namespace():
    inside = spec(tools=(replace(BOOK, in_cluster=True),))
    granted = replace(CLINIC, tool_networks=("10.96.0.0/12",))
    to_others = replace(granted, namespaces=("shop",))

    assert told(*problems.of_agent(REF, inside, replace(EU, tenants=(CLINIC, to_others)))) == [
        (
            "NetworkNotAllowed",
            (
                "spec.tools[book].webhook.network: FailoverPolicy eu names no tenants[].toolNetworks "
                "for namespace clinic; have one named, or say public"
            ),
        )
    ]
    assert problems.of_agent(REF, inside, replace(EU, tenants=(granted,))) == ()


@pytest.mark.parametrize(("size", "found"), [(13_107, []), (13_108, ["ParametersTooLarge"])])
def test_the_parameters_of_all_tools_together_are_bounded(size: int, found: list[str]):
    """What it costs to look at an agent is borne by all the others."""
    five = [replace(BOOK, name=f"book-{n}", parameters={"a": "x" * (size - len('{"a": ""}'))}) for n in range(5)]

    assert codes(*problems.of_agent(REF, spec(tools=tuple(five)), EU)) == found

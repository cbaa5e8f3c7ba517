"""Voice, fallback and next are one function: what the carrier is told, by what is known of the call."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from control_builders import CALL, ZONE_KEY, config, record

from holdfast_bridge.core import answer, directive, token
from holdfast_bridge.core.answer import Apology, Asked, Greet, Hangup, Question, Resume
from holdfast_bridge.core.escalation import After, outcome

KEY = ZONE_KEY.encode()


def here(*, region: str = "fra", unreachable: frozenset[str] = frozenset(), own_able: bool = True, **changes: Any):
    agent = config(region=region, buddy={"fra": "ams", "ams": "fra"}.get(region), **changes)
    return answer.Here(
        config=agent,
        directive=directive.initial(agent),
        unreachable=unreachable,
        own_able=own_able,
        now=1000.0,
        nonce="nonce-1",
        key=KEY,
    )


def ask(asked: Asked, known: Any = None, *, hop: int = 0, call: str = CALL, **kw: Any) -> answer.Answer:
    return answer.answer(Question(asked=asked, call=call, hop=hop), known, here(**kw))


def parts(twiml: str) -> tuple[str, token.Claim, str]:
    root = ET.fromstring(twiml)
    stream = root.find("./Connect/Stream")
    assert stream is not None
    parameter = stream.find("Parameter")
    redirect = root.find("Redirect")
    assert parameter is not None
    assert redirect is not None
    assert [child.tag for child in root] == ["Connect", "Redirect"]
    assert redirect.get("method") == "POST"
    region = urlsplit(stream.get("url") or "").hostname or ""
    claim = token.verify(
        parameter.get("value") or "", keys=(KEY,), agent="clinic/front-desk", region=region[:3], now=1000.0
    )
    assert isinstance(claim, token.Claim)
    return stream.get("url") or "", claim, redirect.text or ""


def test_an_unknown_call_is_greeted_and_pointed_at_the_other_region() -> None:
    greeting = ask(Asked.VOICE)
    assert isinstance(greeting, Greet)
    url, claim, after = parts(greeting.twiml)
    assert url == f"wss://{greeting.region}.voice.example.com/a/clinic/front-desk/media"
    assert (claim.call, claim.epoch, claim.expires, claim.nonce) == (CALL, 1, 1120, "nonce-1")
    split = urlsplit(after)
    assert parse_qs(split.query) == {"call": [CALL], "hop": ["1"]}
    assert split.fragment == "ct=1000&rt=3000&rc=1"
    assert {split.hostname, urlsplit(url).hostname} == {"fra.voice.example.com", "ams.voice.example.com"}


def test_the_fallback_keeps_the_call_in_the_region_that_was_asked() -> None:
    for number in range(20):
        call = f"CA{number:032x}"
        for region in ("fra", "ams"):
            greeting = ask(Asked.FALLBACK, call=call, region=region)
            assert isinstance(greeting, Greet)
            assert greeting.region == region


def test_an_unfinished_call_is_resumed_here_under_the_next_epoch() -> None:
    for asked in Asked:
        resumed = ask(asked, record(epoch=4), region="ams", hop=1)
        assert isinstance(resumed, Resume)
        url, claim, after = parts(resumed.twiml)
        assert (resumed.region, resumed.epoch, claim.epoch) == ("ams", 5, 5)
        assert url.startswith("wss://ams.")
        assert "hop=2" in after


def test_a_finished_call_is_hung_up_whatever_the_hop() -> None:
    for hop in (0, 1, 9):
        assert ask(Asked.NEXT, record(state="ended"), hop=hop) == Hangup(
            '<?xml version="1.0" encoding="UTF-8"?><Response><Hangup/></Response>'
        )


@pytest.mark.parametrize("known", [None, record(updated_at=1001.0), record(pod="", updated_at=9000.0)])
def test_the_third_hop_is_told_in_words(known: Any) -> None:
    apology = ask(Asked.NEXT, known, hop=3)
    assert isinstance(apology, Apology)
    root = ET.fromstring(apology.twiml)
    assert [child.tag for child in root] == ["Say", "Hangup"]


PERSON = {"transferTo": "+4930123456", "voicemail": True}
AFTER = f"https://fra.voice.example.com/a/clinic/front-desk/next?call={CALL}&after="


def verbs(twiml: str) -> list[str]:
    return [child.tag for child in ET.fromstring(twiml)]


def test_a_caller_whom_nobody_can_serve_is_handed_to_the_person_the_agent_names() -> None:
    apology = ask(Asked.NEXT, hop=3, escalation=PERSON)
    assert isinstance(apology, Apology)
    assert verbs(apology.twiml) == ["Say", "Dial"]
    dial = ET.fromstring(apology.twiml).find("Dial")
    assert dial is not None
    assert (dial.text, dial.get("action"), dial.get("timeout")) == ("+4930123456", AFTER + "dial", "20")


@pytest.mark.parametrize(
    ("came", "voicemail", "then"),
    [
        (After.TALKED, True, ["Hangup"]),
        (After.NOBODY_THERE, True, ["Say", "Record", "Hangup"]),
        (After.NOBODY_THERE, False, ["Say", "Hangup"]),
        (After.RECORDED, True, ["Hangup"]),
    ],
)
def test_what_follows_depends_on_what_came_of_it(came: After, voicemail: bool, then: list[str]) -> None:
    """Whatever the hop says and is known of the call: nobody is recorded or called twice."""
    question = Question(asked=Asked.NEXT, call=CALL, after=came)
    for known in (None, record(updated_at=1001.0), record(state="ended")):
        spoken = answer.answer(question, known, here(escalation={**PERSON, "voicemail": voicemail}))
        assert isinstance(spoken, Apology)
        assert verbs(spoken.twiml) == then


def test_a_machine_records_where_no_person_is_named() -> None:
    apology = ask(Asked.NEXT, hop=3, escalation={"voicemail": True}, persona={"language": "de"})
    assert isinstance(apology, Apology)
    record_verb = ET.fromstring(apology.twiml).find("Record")
    assert record_verb is not None
    assert record_verb.get("action") == AFTER + "record"
    assert "nach dem Ton" in apology.twiml


@pytest.mark.parametrize(
    ("word", "status", "came"),
    [
        ("dial", "completed", After.TALKED),
        ("dial", "no-answer", After.NOBODY_THERE),
        ("dial", "", After.NOBODY_THERE),
        ("record", "", After.RECORDED),
        ("", "completed", None),
        ("nonsense", "completed", None),
    ],
)
def test_the_carriers_words_say_what_came_of_it(word: str, status: str, came: After | None) -> None:
    assert outcome(word, status) is came


def test_the_apology_speaks_the_agents_language_where_it_can() -> None:
    persona = {"language": "de-AT"}
    spoken = ask(Asked.NEXT, hop=3, persona=persona)
    assert isinstance(spoken, Apology)
    assert 'language="de"' in spoken.twiml


def test_a_stream_that_held_ten_seconds_starts_the_count_anew() -> None:
    held = record(epoch=3, started_at=10.0, taken_at=900.0, updated_at=910.0)
    resumed = ask(Asked.NEXT, held, hop=3)
    assert isinstance(resumed, Resume)
    assert "hop=1" in parts(resumed.twiml)[2]
    brief = record(epoch=3, started_at=10.0, taken_at=900.0, updated_at=909.0)
    assert isinstance(ask(Asked.NEXT, brief, hop=3), Apology)


def test_a_greeting_at_a_later_hop_outranks_a_stream_whose_journal_was_lost() -> None:
    greeting = ask(Asked.NEXT, hop=2, region="ams")
    assert isinstance(greeting, Greet)
    assert (greeting.region, greeting.epoch) == ("ams", 3)


def test_with_one_region_everything_stays_in_it() -> None:
    alone = [{"name": "fra", "host": "fra.voice.example.com", "weight": 1}]
    agent = config(regions=alone, buddy=None)
    only = answer.Here(
        config=agent,
        directive=directive.initial(agent),
        unreachable=frozenset(),
        own_able=True,
        now=1000.0,
        nonce="n",
        key=KEY,
    )
    greeting = answer.answer(Question(asked=Asked.VOICE, call=CALL), None, only)
    assert isinstance(greeting, Greet)
    url, _, after = parts(greeting.twiml)
    assert urlsplit(url).hostname == urlsplit(after).hostname == "fra.voice.example.com"


def test_a_buddy_known_to_be_dead_is_neither_media_host_nor_next() -> None:
    for number in range(20):
        greeting = ask(Asked.VOICE, call=f"CA{number:032x}", unreachable=frozenset({"ams"}))
        assert isinstance(greeting, Greet)
        url, _, after = parts(greeting.twiml)
        assert urlsplit(url).hostname == urlsplit(after).hostname == "fra.voice.example.com"


def test_a_hand_over_goes_on_when_no_attempt_can_work_here() -> None:
    resumed = ask(Asked.NEXT, record(), region="ams", own_able=False)
    assert isinstance(resumed, Resume)
    assert resumed.region == "fra"


def test_what_the_carrier_sent_is_escaped() -> None:
    nasty = 'CA"<&>/../?x=1'
    greeting = ask(Asked.FALLBACK, call=nasty)
    assert isinstance(greeting, Greet)
    _, claim, after = parts(greeting.twiml)
    assert claim.call == nasty
    assert parse_qs(urlsplit(after).query)["call"] == [nasty]


def test_who_comes_second_is_asked_to_wait_not_hung_up() -> None:
    waiting = answer.ask_again(Question(asked=Asked.NEXT, call=CALL, hop=2), here())
    root = ET.fromstring(waiting.twiml)
    assert [child.tag for child in root] == ["Pause", "Redirect"]
    assert "hop=2" in (root.findtext("Redirect") or "")

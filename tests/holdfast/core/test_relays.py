"""Which TURN servers a region's callers are offered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import evidence, reasons, relays
from holdfast.core.evidence import History, Result
from holdfast.core.relays import Home, IceList, IceServer, Relay, Sight, Standing, Transport
from holdfast.core.values import Probe, Verdict

UDP, TCP, TLS = Transport.UDP, Transport.TCP, Transport.TLS
HOME = Home("eu", failure_domain="hetzner")


def relay(name: str, *, jurisdiction: str = "eu", domain: str = "", over: tuple[Transport, ...] = (UDP, TLS)) -> Relay:
    return Relay(name, jurisdiction, {each: f"{each.value}:{name}" for each in over}, domain)


def offered(given_list: IceList) -> list[str]:
    return [server.url for server in given_list.servers]


def listed(sights: dict[tuple[str, Transport], Sight], *known: Relay, last_good: tuple[IceServer, ...] = ()) -> IceList:
    return relays.servers(known or (relay("a"), relay("b")), sights, home=HOME, last_good=last_good)


def all_of(name: str, sight: Sight) -> dict[tuple[str, Transport], Sight]:
    return {(name, transport): sight for transport in Transport}


def test_all_that_is_well_is_offered_udp_first():
    found = listed({**all_of("a", Sight.WELL), **all_of("b", Sight.WELL)})
    assert offered(found) == ["udp:a", "udp:b", "tls:a", "tls:b"]
    assert found.reason.code == reasons.RELAYS_WELL


def test_a_relay_that_was_never_asked_is_offered_too():
    """After a restart nothing is known, and callers must not be left without."""
    found = listed({})
    assert len(found.servers) == 4
    assert found.reason.code == reasons.RELAYS_WELL


def test_where_udp_is_blocked_the_entry_over_tls_stays():
    found = listed({**all_of("a", Sight.WELL), ("a", UDP): Sight.ILL}, relay("a"))
    assert offered(found) == ["tls:a"]
    assert found.reason.message == "set back or left out: a over udp: ill"


def test_a_relay_that_fails_with_the_region_stands_behind_its_equals():
    together, apart = relay("near", domain="hetzner"), relay("far", domain="leaseweb")
    assert offered(listed({}, together, apart)) == ["udp:far", "tls:far", "udp:near", "tls:near"]
    assert offered(listed(all_of("far", Sight.FULL), together, apart))[:2] == ["udp:near", "tls:near"]


def test_regions_that_name_no_failure_domain_share_it_with_nobody():
    found = relays.servers([relay("a"), relay("b")], {}, home=Home("eu"))
    assert offered(found) == ["udp:a", "udp:b", "tls:a", "tls:b"]


@pytest.mark.parametrize("worse", [Sight.POOR, Sight.FULL, Sight.OUR_FAULT, Sight.DRAINING])
def test_what_is_not_well_but_answers_is_offered_last(worse: Sight):
    found = listed(all_of("a", worse))
    assert offered(found) == ["udp:b", "tls:b", "udp:a", "tls:a"]
    assert found.reason.code == reasons.RELAY_ILL


def test_a_wrong_credential_of_ours_takes_no_relay_away():
    found = listed({**all_of("a", Sight.OUR_FAULT), **all_of("b", Sight.OUR_FAULT)})
    assert len(found.servers) == 4


def test_when_nothing_answers_what_last_worked_is_offered_unchanged():
    good = (IceServer("b", TLS, "tls:b"), IceServer("a", UDP, "udp:a"))
    found = listed({**all_of("a", Sight.ILL), **all_of("b", Sight.ILL)}, last_good=good)
    assert found.servers == good
    assert found.reason.code == reasons.ALL_RELAYS_ILL


def test_without_a_last_good_list_the_ill_are_better_than_none():
    found = listed({**all_of("a", Sight.ILL), **all_of("b", Sight.ILL)})
    assert offered(found) == ["udp:a", "udp:b", "tls:a", "tls:b"]


def test_a_last_good_list_brings_back_nothing_that_may_not_be_offered_now():
    good = (IceServer("us", UDP, "udp:us"), IceServer("gone", UDP, "udp:gone"), IceServer("a", UDP, "udp:old"))
    abroad = relay("us", jurisdiction="us")
    found = listed(all_of("a", Sight.ILL), relay("a"), abroad, last_good=good)
    assert offered(found) == ["udp:a", "tls:a"]


@pytest.mark.parametrize("unsafe", [Sight.OPEN, Sight.EXPOSED])
def test_a_relay_through_which_too_much_is_reached_is_not_offered_over_any_transport(unsafe: Sight):
    found = listed({("a", TLS): unsafe}, last_good=(IceServer("a", UDP, "udp:a"),))
    assert offered(found) == ["udp:b", "tls:b"]


@pytest.mark.parametrize("known", [(relay("us", jurisdiction="us"),), (relay("bare", over=()),)])
def test_no_relay_that_may_be_offered_is_an_empty_list_with_its_reason(known: tuple[Relay, ...]):
    found = listed({}, *known)
    assert found.servers == ()
    assert found.reason.code == reasons.NO_RELAY


@pytest.mark.parametrize(
    ("code", "sight"),
    [(300, Sight.DRAINING), (401, Sight.OUR_FAULT), (441, Sight.OUR_FAULT), (403, Sight.DRAINING),
     (438, Sight.WELL), (486, Sight.FULL), (508, Sight.FULL),
     (500, Sight.ILL), (437, Sight.ILL)],
)
def test_what_an_error_code_says_of_a_relay(code: int, sight: Sight):
    assert relays.sight(code) is sight


def test_only_what_lies_with_the_relay_is_folded_as_down():
    verdicts = {sight: sight.verdict for sight in Sight}
    down = {sight for sight, verdict in verdicts.items() if verdict is Verdict.DOWN}
    assert down == {Sight.ILL, Sight.EXPOSED, Sight.OPEN}
    unknown = {sight for sight, verdict in verdicts.items() if verdict is Verdict.UNKNOWN}
    assert unknown == {Sight.UNSEEN, Sight.OUR_FAULT}
    assert Sight.FULL.verdict is Verdict.UP
    assert Sight.POOR.verdict is Verdict.DEGRADED


PROBE = Probe(confirmations=2, confirm_every_s=0.4)


def after(*found: Sight) -> Sight:
    """The sight that stands when a relay was found so, one probe after the other, each in its turn."""
    stands = Standing(History(since=0.0))
    for number, sight in enumerate(found):
        result = Result(sight.verdict, sight.value)
        folded, _ = evidence.observe(stands.history, result, now=5.0 * number, probe=PROBE)
        stands = relays.standing(stands, sight, after=folded)
    return stands.sight


def test_a_single_bad_answer_takes_nothing_away():
    assert after(Sight.WELL, Sight.WELL, Sight.ILL) is Sight.WELL
    assert after(Sight.WELL, Sight.WELL, Sight.ILL, Sight.ILL) is Sight.WELL
    assert after(Sight.WELL, Sight.WELL, Sight.ILL, Sight.ILL, Sight.ILL) is Sight.ILL


def test_a_single_good_answer_brings_nothing_back():
    ill = (Sight.ILL, Sight.ILL, Sight.ILL)
    assert after(*ill, Sight.WELL) is Sight.ILL
    assert after(*ill, Sight.WELL, Sight.WELL) is Sight.WELL


def test_what_only_changes_the_order_counts_at_once():
    assert after(Sight.WELL, Sight.WELL, Sight.FULL) is Sight.FULL
    assert after(Sight.WELL, Sight.WELL, Sight.FULL, Sight.DRAINING) is Sight.DRAINING
    assert after(Sight.WELL, Sight.WELL, Sight.FULL, Sight.WELL) is Sight.WELL


def test_one_kind_of_loss_is_confirmed_by_another():
    assert after(Sight.WELL, Sight.WELL, Sight.ILL, Sight.ILL, Sight.EXPOSED) is Sight.EXPOSED


def test_an_open_relay_that_falls_silent_stays_known_as_open():
    is_open = (Sight.OPEN, Sight.OPEN, Sight.OPEN)
    assert after(*is_open, Sight.ILL, Sight.ILL, Sight.ILL) is Sight.OPEN
    assert after(*is_open, Sight.ILL, Sight.WELL) is Sight.OPEN
    assert after(*is_open, Sight.ILL, Sight.WELL, Sight.WELL) is Sight.WELL


def test_a_credential_that_is_refused_is_told_once_it_is_refused_again():
    well = (Sight.WELL, Sight.WELL)
    assert after(*well, Sight.OUR_FAULT, Sight.OUR_FAULT) is Sight.WELL
    assert after(*well, Sight.OUR_FAULT, Sight.OUR_FAULT, Sight.OUR_FAULT) is Sight.OUR_FAULT


def test_a_history_that_began_anew_knows_nothing():
    before = Standing(History(since=0.0, verdict=Verdict.DOWN), Sight.ILL)
    assert relays.standing(before, Sight.WELL, after=History(since=9.0)).sight is Sight.UNSEEN


def test_a_relay_that_answers_unreliably_is_poor_until_it_has_answered_well_for_long():
    unreliable = (Sight.WELL, Sight.WELL, *(Sight.ILL, Sight.WELL) * 3)
    assert after(*unreliable) is Sight.POOR
    assert after(*unreliable, *[Sight.WELL] * 5) is Sight.POOR
    assert after(*unreliable, *[Sight.WELL] * 10) is Sight.WELL


NAMES = st.text("abc", min_size=1, max_size=2)
RELAYS = st.lists(
    st.builds(
        relay,
        NAMES,
        jurisdiction=st.sampled_from(("eu", "us")),
        domain=st.sampled_from(("", "hetzner", "aws")),
        over=st.lists(st.sampled_from(Transport), unique=True).map(tuple),
    ),
    max_size=5,
    unique_by=lambda each: each.name,
)
SIGHTS = st.dictionaries(st.tuples(NAMES, st.sampled_from(Transport)), st.sampled_from(Sight))
LAST_GOOD = st.lists(st.builds(IceServer, NAMES, st.sampled_from(Transport), st.just("x")))


@given(RELAYS, SIGHTS, LAST_GOOD)
def test_residency_is_never_broken_and_the_list_never_empty_while_anything_may_be_offered(known, sights, last_good):
    found = relays.servers(known, sights, home=HOME, last_good=last_good)
    legal = {each.name: each for each in known if each.jurisdiction == "eu"}
    unsafe = {name for (name, _), sight in sights.items() if sight in (Sight.OPEN, Sight.EXPOSED)}
    assert {server.relay for server in found.servers} <= legal.keys() - unsafe
    assert bool(found.servers) is any(each.urls for name, each in legal.items() if name not in unsafe)
    assert len(set(found.servers)) == len(found.servers)


@given(RELAYS, SIGHTS)
def test_nothing_worse_stands_before_anything_better(known, sights):
    found = relays.servers(known, sights, home=HOME)
    ranks = [list(Sight).index(sights.get((each.relay, each.transport), Sight.UNSEEN)) for each in found.servers]
    assert ranks == sorted(ranks) or found.reason.code == reasons.ALL_RELAYS_ILL

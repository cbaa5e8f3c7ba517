"""What becomes of a tunnel's ingress rules, whatever somebody wrote there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.levers import cloudflare_ingress as ingress
from holdfast.levers.cloudflare_ingress import Mark

HOST = "eu.voice.example.com"
MARKER = {"hostname": "fra.eu.holdfast.invalid", "service": "http_status:404"}
CATCH_ALL = {"service": "http_status:404"}
HOSTS = [HOST, "*.example.com", "*.voice.example.com", "shop.example.com", "ams.eu.holdfast.invalid", "*"]
SERVICES = ["http://bridge:8080", "http_status:503", "http_status:404", "tcp://db:5432"]
FOREIGN = st.fixed_dictionaries(
    {"hostname": st.sampled_from(HOSTS), "service": st.sampled_from(SERVICES)},
    optional={"path": st.sampled_from(["", "^/a/", "/voice$"]), "originRequest": st.just({"noTLSVerify": True})},
)


def turned(rules, *, on: bool, to: Mark):
    return ingress.turned(rules, "eu", "fra", HOST, on=on, to=to)


@given(
    above=st.lists(FOREIGN, max_size=4),
    below=st.lists(FOREIGN, max_size=4),
    turns=st.lists(st.booleans(), min_size=1, max_size=6),
)
def test_turning_a_region_keeps_every_other_rule_and_its_place_and_the_mark(above, below, turns):
    rules = [*above, MARKER, *below, CATCH_ALL]
    for n, on in enumerate(turns, start=1):
        to = Mark(epoch=n, since=2 * n)
        rules = turned(rules, on=on, to=to)
        assert rules[2 if not on else 1 :] == [*above, *below, CATCH_ALL]
        assert ingress.mark(rules, "eu", "fra") == to
        assert ingress.cordoned(rules, "eu", "fra", HOST) is not on
        if not on:
            assert not ingress.answers(rules, HOST)
        else:
            assert ingress.answers(rules, HOST) is ingress.answers([*above, *below, CATCH_ALL], HOST)


def test_a_mark_of_another_zone_or_region_is_not_ours():
    for hostname in (
        "ams.eu.holdfast.invalid",
        "fra.us.holdfast.invalid",
        "x.fra.eu.holdfast.invalid",
        "since-1.epoch-x.fra.eu.holdfast.invalid",
        "since-1.epoch-2.xfra.eu.holdfast.invalid",
        "fra.eu.holdfast.invalid.example.com",
    ):
        assert ingress.mark([{"hostname": hostname, "service": "http_status:404"}, CATCH_ALL], "eu", "fra") is None


def test_two_marks_that_a_race_left_become_one_and_the_higher_epoch_fences():
    other = {"hostname": "since-3.epoch-9.fra.eu.holdfast.invalid", "service": "http_status:404"}
    cordon = {"hostname": HOST, "path": ".*", "service": "http_status:503"}
    rules = [other, cordon, MARKER, cordon, CATCH_ALL]
    assert ingress.mark(rules, "eu", "fra") == Mark(epoch=9, since=3)
    assert turned(rules, on=True, to=Mark(10, 4))[1:] == [CATCH_ALL]


def test_a_host_is_answered_by_the_first_rule_that_takes_it_on_every_path():
    part = {"hostname": HOST, "path": "/voice$", "service": "http_status:503"}
    serves = {"hostname": "*.voice.example.com", "service": "http://bridge"}
    assert ingress.answers([part, serves, CATCH_ALL], HOST)
    assert not ingress.answers([{**part, "path": ""}, serves, CATCH_ALL], HOST)
    assert not ingress.answers([CATCH_ALL], HOST)
    assert ingress.answers([{"service": "http://everything"}], HOST)

"""The heartbeat's text: round trip, outside input that is not one, and what all beats say together."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import heart
from holdfast.core.values import Cause, Load, Override, Reason, Shift, Tier, Verdict, Withdrawal

BEAT = heart.Heartbeat(
    seq=7,
    region="ams",
    observations={"fra": heart.Seen(Verdict.DOWN, held_s=1.5, detail="connect: refused")},
    self_doubt=False,
    active_calls=3,
    ready_pods=2,
    room=97,
    zones={"eu": heart.ZoneSeen(epoch=4, leader="ams")},
    cordons=(Shift("ams", Cause.HUMAN, 30.0, "old disks", drain=True), Shift("fra", Cause.HUMAN, 60.0, "new disks")),
    overrides=(Override("fra", "Dwell", 30.0, "incident 4"),),
    paused="the vendor migrates",
    withdraw=Withdrawal("ams", Reason("PodsNotReady", "2 agents have too few ready pods"), 0.0, 2, 2, ("openai",)),
    others={Tier.CARRIER: {"twilio-eu": heart.Seen(Verdict.DOWN, held_s=2.0, detail="no answer in 2 s")}},
    latencies={"region/fra": 12, "relay/turn-1/udp": 3},
    skew={"fra": -0.25},
    at=1_700_000_000.125,
)
QUIET = heart.Heartbeat(seq=1, region="fra")
OLDER = '{"seq":1,"region":"ams","observations":{},"selfDoubt":false,"activeCalls":3,"readyPods":2,"zones":{}}'


def bent(**changes: Any) -> str:
    return json.dumps({**json.loads(heart.encode(BEAT)), **changes})


def read(**changes: Any) -> heart.Heartbeat:
    beat = heart.decode(bent(**changes))
    assert beat is not None
    return beat


@pytest.mark.parametrize("beat", [BEAT, QUIET, replace(QUIET, orders_known=False)])
def test_a_beat_survives_the_round_trip(beat: heart.Heartbeat) -> None:
    assert heart.decode(heart.encode(beat)) == beat


def test_the_text_has_the_agreed_keys() -> None:
    raw = json.loads(heart.encode(BEAT))
    assert raw["observations"] == {"fra": {"verdict": "down", "since": 1.5, "detail": "connect: refused"}}
    assert raw["zones"] == {"eu": {"epoch": 4, "leader": "ams"}}
    assert raw["cordons"] == {
        "ams": {"remaining": 30.0, "reason": "old disks", "drain": True},
        "fra": {"remaining": 60.0, "reason": "new disks"},
    }
    assert raw["overrides"] == {"fra": {"guard": "Dwell", "remaining": 30.0, "reason": "incident 4"}}
    assert raw["others"] == {
        "provider": {}, "relay": {},
        "carrier": {"twilio-eu": {"verdict": "down", "since": 2.0, "detail": "no answer in 2 s"}},
    }  # fmt: skip
    assert (raw["latencies"], raw["skew"]) == ({"region/fra": 12, "relay/turn-1/udp": 3}, {"fra": -0.25})
    assert raw["withdraw"] == {
        "reason": "PodsNotReady", "message": "2 agents have too few ready pods",
        "agents": 2, "ofAgents": 2, "ill": ["openai"],
    }  # fmt: skip
    assert set(raw) == {
        "seq", "region", "observations", "selfDoubt", "activeCalls", "readyPods", "room", "zones",
        "cordons", "overrides", "paused", "withdraw", "others", "latencies", "skew", "at",
    }  # fmt: skip


def test_a_beat_of_an_older_version_asks_for_nothing() -> None:
    assert heart.decode(OLDER) == heart.Heartbeat(
        seq=1, region="ams", active_calls=3, ready_pods=2, orders_known=False
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"seq":1}',
        '{"seq":1,"region":"x","observations":[],"selfDoubt":false}',
        '{"seq":1,"region":"x","observations":{"a":{"verdict":"dead"}},"selfDoubt":false}',
        '{"seq":1,"region":"x","observations":{"a":{"verdict":"up","since":NaN}},"selfDoubt":false}',
        '{"seq":1e999,"region":"x","observations":{},"selfDoubt":false}',
        '{"seq":-1,"region":"x","observations":{},"selfDoubt":false}',
        "[" * 60_000,
        OLDER + " " * 100_000,
        bent(room="much"),
        bent(room=-1),
        bent(activeCalls=10**400),
    ],
)
def test_what_is_not_a_beat_is_none(text: str) -> None:
    assert heart.decode(text) is None


GARBAGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(json.loads(heart.encode(BEAT)))), GARBAGE))
def test_no_garbage_in_any_place_does_any_harm(changes: dict[str, Any]) -> None:
    beat = heart.decode(bent(**changes))

    assert beat is None or heart.decode(heart.encode(beat)) is not None


@pytest.mark.parametrize(
    ("key", "entry"),
    [
        ("cordons", {"reason": "new disks"}),
        ("cordons", {"remaining": "soon", "reason": "new disks"}),
        ("cordons", {"remaining": float("inf"), "reason": "new disks"}),
        ("cordons", {"remaining": -1, "reason": "new disks"}),
        ("overrides", {"guard": "NoQuorum", "remaining": 30, "reason": "incident 4"}),
        ("overrides", {"guard": [], "remaining": 30, "reason": "incident 4"}),
    ],
)
def test_an_order_that_is_not_understood_is_left_out_and_the_rest_is_heard(key: str, entry: dict[str, Any]) -> None:
    """A newer version may order what this one does not know; it is alive all the same."""
    whole = json.loads(heart.encode(BEAT))[key]
    beat = read(**{key: {"iad": entry, **whole}})

    assert beat == replace(BEAT, orders_known=key != "cordons")


@pytest.mark.parametrize("garbage", [[], "x", 1, {"reason": "x"}, {"reason": "x", "message": "y", "agents": "many"}])
def test_a_wish_that_is_not_understood_is_none(garbage: object) -> None:
    assert read(withdraw=garbage) == replace(BEAT, withdraw=None)


@pytest.mark.parametrize(
    ("said", "words"), [("", ""), (None, ""), (False, ""), (True, "no reason is given"), ([1], "no reason is given")]
)
def test_whoever_says_that_the_fleet_is_paused_is_obeyed(said: object, words: str) -> None:
    assert read(paused=said).paused == words


def test_the_largest_beat_is_still_one() -> None:
    """Whatever people and vendors write into it, and however much of it."""
    names = [f"{number:040}" for number in range(40)]
    words = '\u0000"\\' * 100
    beat = heart.Heartbeat(
        seq=heart.MAX_COUNT,
        region=names[0],
        observations={name: heart.Seen(Verdict.DEGRADED, 999_999.9, words) for name in names},
        zones={name: heart.ZoneSeen(heart.MAX_COUNT, words) for name in names},
        cordons=tuple(Shift(name, Cause.HUMAN, 9e9, words) for name in names),
        overrides=tuple(Override(name, "UnknownHistory", 9e9, words) for name in names),
        paused=words,
        withdraw=Withdrawal(names[0], Reason("NoWorkingAttempt", words), 0.0, ill=(words,) * 40),
        others={tier: {name + words: heart.Seen(Verdict.DEGRADED, 9e9, words) for name in names} for tier in Tier},
        latencies={f"{number:040}{words}": heart.MAX_COUNT for number in range(80)},
        skew={name + words: -heart.MAX_SKEW_S for name in names},
    )
    decoded = heart.decode(heart.encode(beat))

    assert decoded is not None
    assert len(decoded.observations) == len(decoded.cordons) == len(decoded.overrides) == 32
    assert len(decoded.others[Tier.CARRIER]) == 12
    assert decoded.withdraw is not None
    assert len(decoded.withdraw.ill) == 16


# What all beats say together.


def test_what_people_ordered_is_told_with_who_tells_it_and_runs_on_while_the_beat_ages() -> None:
    heard = {"ams": (BEAT, 2.0), "fra": (QUIET, 0.0)}

    assert heart.shifts(heard) == (
        Shift("ams", Cause.HUMAN, 28.0, "old disks", told_by="ams", drain=True),
        Shift("fra", Cause.HUMAN, 58.0, "new disks", told_by="ams"),
    )
    assert heart.overrides(heard) == (Override("fra", "Dwell", 28.0, "incident 4"),)


def test_an_order_that_ended_since_the_beat_is_over() -> None:
    ending = replace(
        BEAT,
        cordons=(Shift("fra", Cause.HUMAN, 1.0, "new disks"),),
        overrides=(Override("fra", "Dwell", 1.0, "incident 4"),),
    )

    assert heart.shifts({"ams": (ending, 1.0)}) == ()
    assert heart.overrides({"ams": (ending, 1.0)}) == ()


@pytest.mark.parametrize(
    "silent",
    [replace(QUIET, orders_known=False), heart.decode(OLDER), heart.decode(bent(cordons={"fra": {"ends": "noon"}}))],
)
def test_who_does_not_know_the_orders_of_its_cluster_does_not_say_that_one_was_taken_back(
    silent: heart.Heartbeat,
) -> None:
    """An operator that has just started, or is of another version, must not end a person's cordon by its silence."""
    assert heart.told_ago_s({"ams": (BEAT, 0.5), "fra": (silent, 0.5)}) == {"ams": 0.5}


def test_a_region_asks_only_for_itself() -> None:
    """Whatever name it writes into its beat."""
    asked = heart.withdrawals({"iad": (BEAT, 0.5)})

    assert [(each.region, each.heard_age_s, each.ill) for each in asked] == [("iad", 0.5, ("openai",))]


def test_a_pause_is_told_with_every_cluster_in_which_it_was_said() -> None:
    heard = {"ams": (BEAT, 0.0), "fra": (QUIET, 0.0), "iad": (replace(BEAT, paused="drill"), 0.0)}

    assert heart.paused(heard) == "the vendor migrates (said in ams); drill (said in iad)"
    assert heart.paused({"fra": (QUIET, 0.0)}) == ""


def test_a_region_that_does_not_tell_its_room_has_no_load_rather_than_none_left() -> None:
    """An older version during an update must not look like a full region."""
    older = heart.decode(OLDER)
    assert older is not None

    assert heart.loads({"ams": (BEAT, 0.0), "fra": (older, 0.0)}) == {"ams": Load(2, 3, 97)}


@pytest.mark.parametrize("told", [heart.loads, heart.shifts, heart.overrides, heart.withdrawals, heart.paused])
def test_a_beat_that_is_too_old_tells_nothing(told: Any) -> None:
    assert told({"ams": (BEAT, 3.0)})
    assert not told({"ams": (BEAT, 3.1)})


@pytest.mark.parametrize(
    "changes",
    [
        {"others": {"carrier": {"twilio-eu": {"verdict": "dead"}}}},
        {"others": {"comet": {"halley": {"verdict": "up"}}}},
        {"others": {"carrier": []}},
        {"others": []},
    ],
)
def test_a_target_that_is_not_understood_is_left_out_and_the_rest_is_heard(changes: dict[str, Any]) -> None:
    beat = read(**changes)
    assert not any(beat.others.values())
    assert beat.observations == BEAT.observations


def test_what_is_merely_shown_never_spoils_a_beat() -> None:
    spoilt = {"fra": "late", "iad": 1e300, "ams": 2}
    beat = read(latencies={"region/fra": -1, "region/iad": 80}, skew=spoilt, at="noon")
    assert (beat.latencies, beat.skew, beat.at) == ({"region/iad": 80}, {"ams": 2.0}, 0.0)



def test_a_provider_counts_as_ill_elsewhere_while_a_fresh_beat_that_trusts_itself_says_down() -> None:
    down, unknown = heart.Seen(Verdict.DOWN, 5.0, "5xx"), heart.Seen(Verdict.UNKNOWN, 5.0, "429")
    beat = heart.Heartbeat(seq=1, region="ams", others={Tier.PROVIDER: {"a/m": down, "b/m": unknown}})
    assert heart.decode(heart.encode(beat)) == beat
    assert heart.providers_ill({"ams": (beat, 2.9)}) == {"a/m"}
    assert heart.providers_ill({"ams": (beat, 3.1)}) == frozenset()
    assert heart.providers_ill({"ams": (replace(beat, self_doubt=True), 0.0)}) == frozenset()

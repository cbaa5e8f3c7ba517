"""The heartbeat's text: round trip, and outside input that is not one."""

from __future__ import annotations

import json

import pytest

from holdfast import heart
from holdfast.core.values import Verdict

BEAT = heart.Heartbeat(
    seq=7,
    region="ams",
    observations={"fra": heart.Seen(Verdict.DOWN, held_s=1.5, detail="connect: refused")},
    self_doubt=False,
    active_calls=3,
    ready_pods=2,
    zones={"eu": heart.ZoneSeen(epoch=4, leader="ams")},
)


def test_a_beat_survives_the_round_trip() -> None:
    assert heart.decode(heart.encode(BEAT)) == BEAT


def test_the_text_has_the_agreed_keys() -> None:
    raw = json.loads(heart.encode(BEAT))
    assert raw["observations"] == {"fra": {"verdict": "down", "since": 1.5, "detail": "connect: refused"}}
    assert raw["zones"] == {"eu": {"epoch": 4, "leader": "ams"}}
    assert set(raw) == {"seq", "region", "observations", "selfDoubt", "activeCalls", "readyPods", "zones"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"seq":1}',
        '{"seq":1,"region":"x","observations":[],"selfDoubt":false}',
        '{"seq":1,"region":"x","observations":{"a":{"verdict":"dead"}},"selfDoubt":false}',
        " " * 20_000,
    ],
)
def test_what_is_not_a_beat_is_none(text: str) -> None:
    assert heart.decode(text) is None

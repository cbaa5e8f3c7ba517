"""What a soak makes of an audit log, of decisions and of its parts."""

from __future__ import annotations

import json

from holdfast_gameday.soak import Part, acted, written

OPERATOR = "system:serviceaccount:holdfast-system:holdfast-operator"


def line(verb: str, resource: str, name: str, subresource: str | None = None) -> str:
    about = {"resource": resource, "name": name, "namespace": "clinic"}
    about |= {"subresource": subresource} if subresource else {}
    return json.dumps({"user": {"username": OPERATOR}, "verb": verb, "objectRef": about})


def record(outcome: str, at: str = "2026-03-01T10:00:05Z") -> dict[str, str]:
    about = {"kind": "region", "name": "ams", "action": "cordon", "reason": "Lost"}
    return {"at": at, "by": "fra", "outcome": outcome, **about}


def test_an_audit_log_is_told_by_who_wrote_what_how_often():
    lines = [line("patch", "voiceagents", "front-desk", "status")] * 2 + [line("create", "events", "e1")]
    assert written(lines) == [
        f"2 × {OPERATOR} patch clinic/voiceagents/front-desk/status",
        f"1 × {OPERATOR} create clinic/events/e1",
    ]


def test_only_what_was_decided_since_then_is_a_move():
    told = [record("decided"), record("refused"), record("held"), record("decided", "2026-03-01T09:59:59Z")]
    assert acted(told, since="2026-03-01T10:00:00Z") == ["2026-03-01T10:00:05Z fra: cordon region ams (Lost)"]


def test_a_write_in_the_quiet_part_breaks_its_promise_and_in_the_weather_does_not():
    assert Part("quiet", 5, api_writes=["1 × x"]).broken() == ["quiet: written at an API server: 1 × x"]
    assert Part("weather", 60, api_writes=["1 × x"], felt={"packets lost": 7}).broken() == []


def test_weather_that_nobody_felt_proves_nothing():
    assert Part("weather", 60, felt={"packets lost": 0}).broken() == ["weather: nobody felt it: packets lost"]


def test_a_move_and_a_write_at_a_lever_break_the_promise_of_either_part():
    for name, felt in (("quiet", {}), ("weather", {"packets lost": 7})):
        part = Part(name, 5, lever_writes=["edge PATCH p1"], moves=["cordon"], felt=felt)
        assert part.broken() == [f"{name}: moved: cordon", f"{name}: written at a lever: edge PATCH p1"]

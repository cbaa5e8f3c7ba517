"""From manifests to the core's values: what a policy and a Region say."""

import pytest
from api_objects import POLICY, changed, region, stored

from holdfast.api import translate
from holdfast.core.values import Guards, Zone
from holdfast.shifts import Order, Orders

NOON = {"until": "2026-11-21T12:00:00Z", "reason": "new disks"}
NOON_S = 1_795_262_400.0


def test_a_policy_that_says_little_has_the_usual_rules():
    zone = translate.zone(stored(POLICY))

    assert (zone.ramp, zone.guards, zone.paused) == ((5, 25, 50, 100), Guards(1, 1, 20), False)
    assert (zone.dwell_s, zone.drain_s, zone.grace_s) == (300.0, 600.0, 660.0)


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("spec.paused", True, lambda zone: zone.paused is True),
        ("spec.region.ramp", [50, 100], lambda zone: zone.ramp == (50, 100)),
        ("spec.guards.headroomPercent", 0, lambda zone: zone.guards.headroom_percent == 0),
        ("spec.inFlight.graceSeconds", 700, lambda zone: zone.grace_s == 700.0),
    ],
)
def test_what_a_policy_says_is_in_the_zone(path, value, found):
    zone = translate.zone(changed(stored(POLICY), path, value))

    assert isinstance(zone, Zone)
    assert found(zone)


@pytest.mark.parametrize(
    ("spec", "orders"),
    [
        ({}, Orders()),
        ({"cordon": NOON}, Orders(cordon=Order(NOON_S, "new disks"))),
        ({"cordon": {**NOON, "until": "2026-11-21T13:00:00.5+01:00"}}, Orders(cordon=Order(NOON_S + 0.5, "new disks"))),
        ({"override": {**NOON, "guard": "Dwell"}}, Orders(override=Order(NOON_S, "new disks", "Dwell"))),
    ],
)
def test_what_a_person_orders_has_an_end_on_the_wall(spec, orders):
    manifest = region("fra")

    assert translate.orders({**manifest, "spec": {**manifest["spec"], **spec}}) == orders


def test_an_order_does_not_change_what_the_region_is():
    assert translate.region(changed(region("fra"), "spec.cordon", NOON)) == translate.region(region("fra"))


@pytest.mark.parametrize(
    ("order", "field"),
    [
        ({"cordon": {"reason": "new disks"}}, "spec.cordon.until"),
        ({"cordon": {**NOON, "until": "2026-11-21T12:00:00"}}, "spec.cordon.until"),
        ({"cordon": {**NOON, "reason": ""}}, "spec.cordon.reason"),
        ({"override": {**NOON, "guard": "NoQuorum"}}, "spec.override.guard"),
        ({"override": NOON}, "spec.override.guard"),
    ],
)
def test_an_order_that_cannot_be_meant_is_refused_by_field(order, field):
    manifest = region("fra")
    refused = translate.orders({**manifest, "spec": {**manifest["spec"], **order}})

    assert [reason.code for reason in refused] == ["InvalidSpec"]
    assert refused[0].message.startswith(f"{field}: ")
